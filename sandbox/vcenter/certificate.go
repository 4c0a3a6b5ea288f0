package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// ensureCertificate returns the certificate of this vCenter, which is its own and stays the same: a client may know it by its
// thumbprint, or by the authority that signed it (ca.pem), as a vCenter is signed by its own VMCA.
func ensureCertificate(directory string) (tls.Certificate, error) {
	file := func(name string) string { return filepath.Join(directory, name) }
	if found, err := tls.LoadX509KeyPair(file("vcenter.pem"), file("vcenter.key")); err == nil || !os.IsNotExist(err) {
		return found, err
	}
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	authority := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "CA of a simulated vCenter"}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	own := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano() + 1), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: authority.NotBefore,
		NotAfter: authority.NotAfter, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	ca, err := x509.CreateCertificate(rand.Reader, authority, authority, &authorityKey.PublicKey, authorityKey)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.CreateCertificate(rand.Reader, own, authority, &key.PublicKey, authorityKey)
	if err != nil {
		return tls.Certificate{}, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	// The certificate comes last: where it is, the others are.
	for _, one := range []struct {
		name, kind string
		bytes      []byte
	}{{"ca.pem", "CERTIFICATE", ca}, {"vcenter.key", "PRIVATE KEY", secret}, {"vcenter.pem", "CERTIFICATE", leaf}} {
		if err := writeAtomically(file(one.name), pem.EncodeToMemory(&pem.Block{Type: one.kind, Bytes: one.bytes})); err != nil {
			return tls.Certificate{}, err
		}
	}
	return tls.LoadX509KeyPair(file("vcenter.pem"), file("vcenter.key"))
}

func writeAtomically(path string, content []byte) error {
	temporary := path + ".new"
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
