package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"log"
	"net/http"
	"reflect"
	"strings"

	"github.com/vmware/govmomi/vim25/types"
)

// ordered refuses requests whose elements are not in the order of the WSDL, as vSphere does ("must exist in the order listed",
// Web Services SDK Programming Guide): the simulator takes them in any. Its own types have their fields in that order.
func ordered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || !strings.HasPrefix(r.URL.Path, "/sdk") {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if wrong := misordered(body); wrong != "" {
			log.Printf("refused: %s", wrong)
			w.Header().Set("Content-Type", "text/xml; charset=utf-8")
			w.WriteHeader(http.StatusInternalServerError)
			var text bytes.Buffer
			_ = xml.EscapeText(&text, []byte(wrong)) // a buffer takes all
			_, _ = fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body><soapenv:Fault><faultcode>ClientFaultCode</faultcode><faultstring>%s</faultstring><detail><InvalidRequestFault xmlns="urn:vim25" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="InvalidRequest"></InvalidRequestFault></detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>`, text.String())
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// misordered says what is out of order; empty where nothing is, or where the request is none that can be judged.
func misordered(body []byte) string {
	decoder := xml.NewDecoder(bytes.NewReader(body))
	for {
		token, err := decoder.Token()
		if err != nil {
			return ""
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local == "Envelope" || start.Name.Local == "Body" {
			continue
		}
		if start.Name.Local == "Header" {
			_ = decoder.Skip() // what is wrong with it, the simulator says
			continue
		}
		kind, ok := types.TypeFunc()(start.Name.Local)
		if !ok {
			return ""
		}
		return misorderedIn(decoder, start.Name.Local, kind)
	}
}

// misorderedIn reads to the end of the element that has begun.
func misorderedIn(decoder *xml.Decoder, path string, kind reflect.Type) string {
	known, fields := fieldsOf(kind), -1
	for {
		token, err := decoder.Token()
		if err != nil {
			return ""
		}
		switch one := token.(type) {
		case xml.EndElement:
			return ""
		case xml.StartElement:
			at, ok := known[one.Name.Local]
			if !ok {
				if len(known) > 0 {
					return fmt.Sprintf("%s has no element %s", path, one.Name.Local)
				}
				if decoder.Skip() != nil {
					return ""
				}
				continue
			}
			if at.index < fields {
				return fmt.Sprintf("%s of %s comes after what it has to come before", one.Name.Local, path)
			}
			fields = at.index
			child := at.kind
			for _, attribute := range one.Attr {
				if attribute.Name.Local == "type" && attribute.Name.Space == "http://www.w3.org/2001/XMLSchema-instance" {
					name := attribute.Value[strings.Index(attribute.Value, ":")+1:]
					if named, ok := types.TypeFunc()(name); ok {
						child = named
					}
				}
			}
			if wrong := misorderedIn(decoder, path+"."+one.Name.Local, child); wrong != "" {
				return wrong
			}
		}
	}
}

type fieldOf struct {
	index int
	kind  reflect.Type
}

// fieldsOf are the elements of a type, those of the type that it extends before its own.
func fieldsOf(kind reflect.Type) map[string]fieldOf {
	found := map[string]fieldOf{}
	for kind.Kind() == reflect.Pointer || kind.Kind() == reflect.Slice {
		kind = kind.Elem()
	}
	if kind.Kind() != reflect.Struct || kind.PkgPath() != reflect.TypeOf(types.InvalidRequest{}).PkgPath() || kind.Name() == "ManagedObjectReference" {
		return found
	}
	var collect func(reflect.Type)
	collect = func(kind reflect.Type) {
		for i := range kind.NumField() {
			field := kind.Field(i)
			if field.Anonymous {
				collect(field.Type)
				continue
			}
			name := strings.Split(field.Tag.Get("xml"), ",")[0]
			found[name] = fieldOf{len(found), field.Type}
		}
	}
	collect(kind)
	return found
}
