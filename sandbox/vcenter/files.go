package main

import (
	"net/http"
	"strings"
	"sync"
)

// sessionCookie is how vCenter knows a client again.
const sessionCookie = "vmware_soap_session"

// guarded keeps the datastore's files from those who have not logged in, whom the simulator lets have them.
func guarded(next http.Handler, user, password string) http.Handler {
	var sessions sync.Map
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/folder") {
			name, secret, basic := r.BasicAuth()
			allowed := basic && name == user && secret == password
			if cookie, err := r.Cookie(sessionCookie); err == nil {
				_, known := sessions.Load(strings.Trim(cookie.Value, `"`))
				allowed = allowed || known
			}
			if !allowed {
				w.Header().Set("WWW-Authenticate", `Basic realm="vCenter"`)
				http.Error(w, "log in first", http.StatusUnauthorized)
				return
			}
		}
		next.ServeHTTP(w, r)
		for _, cookie := range (&http.Response{Header: w.Header()}).Cookies() {
			if cookie.Name == sessionCookie {
				sessions.Store(strings.Trim(cookie.Value, `"`), true)
			}
		}
	})
}
