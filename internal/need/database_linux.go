package need

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Secured is what a server of others has for TLS: files in PEM that it may read.
type Secured struct {
	Authority        string // that signed Certificate
	Certificate, Key string
	dir              string
}

// Secure makes an authority and a certificate for a name, in a directory for servers that do not run as root.
func Secure(t testing.TB, name string) Secured {
	t.Helper()
	now := time.Now()
	form := func(serial int64, name string) *x509.Certificate {
		return &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour)}
	}
	ca, leaf := form(1, "private CA of "+name), form(2, name)
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	leaf.DNSNames, leaf.ExtKeyUsage = []string{name}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	caKey, leafKey := newKey(t), newKey(t)
	s := Secured{dir: ServerDir(t)}
	s.Authority = s.write(t, "ca.pem", "CERTIFICATE", signed(t, ca, ca, caKey, caKey))
	s.Certificate = s.write(t, "server.pem", "CERTIFICATE", signed(t, leaf, ca, leafKey, caKey))
	der, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	s.Key = s.write(t, "server.key", "PRIVATE KEY", der)
	return s
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func signed(t testing.TB, form, by *x509.Certificate, of, with *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, form, by, &of.PublicKey, with)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (s Secured) write(t testing.TB, name, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	own(t, path)
	return path
}

// Postgres starts PostgreSQL with TLS and the user app, whose password is pw, and returns where it listens.
func Postgres(t testing.TB, s Secured) string {
	t.Helper()
	dir := ServerDir(t)
	data := filepath.Join(dir, "data")
	finish(t, dir, Command(t, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "--no-instructions")
	everybody := strings.Repeat("all ", 3) // databases, users, addresses
	rules := "local all postgres trust\nhostssl " + everybody + "md5\nhostnossl " + everybody + "reject\n"
	if err := os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	address := FreeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	runServer(t, dir, "ready to accept connections", Command(t, "postgres"), "-D", data, "-p", port, "-k", dir, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off",
		"-c", "ssl=on", "-c", "ssl_cert_file="+s.Certificate, "-c", "ssl_key_file="+s.Key)
	finish(t, dir, Command(t, "psql"), "-h", dir, "-p", port, "-U", "postgres", "-c", "create user app password 'pw'")
	return address
}

// MariaDB starts MariaDB with TLS, which lets everybody in, and returns where it listens.
func MariaDB(t testing.TB, s Secured) string {
	t.Helper()
	dir, address := ServerDir(t), FreeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	runServer(t, dir, "ready for connections", Command(t, "mariadbd"), "--no-defaults", "--datadir="+dir, "--socket="+filepath.Join(dir, "s"), "--bind-address=127.0.0.1", "--port="+port,
		"--skip-grant-tables", "--skip-networking=0", "--innodb=OFF", "--default-storage-engine=Aria", "--gdb", // which lets SIGINT end it
		"--ssl-cert="+s.Certificate, "--ssl-key="+s.Key)
	return address
}

// Redis starts Redis with TLS and the password pw, and returns where it listens.
func Redis(t testing.TB, s Secured) string {
	t.Helper()
	dir, address := ServerDir(t), FreeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	runServer(t, dir, "Ready to accept connections", Command(t, "redis-server"), "--port", "0", "--tls-port", port, "--bind", "127.0.0.1", "--save", "", "--dir", dir, "--requirepass", "pw",
		"--tls-cert-file", s.Certificate, "--tls-key-file", s.Key, "--tls-auth-clients", "no")
	return address
}
