package dbclient

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"culvert/aws"
)

// handshakeTime is the most that a connection may take until both ends have agreed on TLS.
const handshakeTime = 15 * time.Second

// relay stands between a tunnel and programs that verify a certificate against the name or address that they connect to, or against
// none, as redis-cli does. It makes each of their connections one in TLS to the database, whose certificate it verifies against the
// database's true name. Redis's and MongoDB's programs speak to it in the clear, which never leaves this machine. Those of MySQL are
// met in TLS with a certificate of the relay's own, as passwords take another form without.
type relay struct {
	listener  net.Listener
	tunnel    string
	upstream  *tls.Config
	own       *tls.Config // nil where programs speak in the clear
	authority string      // of own, in PEM
	say       func(string)

	ctx     context.Context //nolint:containedctx // ends the connections with the relay
	stop    context.CancelFunc
	serving sync.WaitGroup

	mu   sync.Mutex
	said map[string]bool
}

func openRelay(a Access, authorities string) (*relay, error) {
	roots := x509.NewCertPool()
	if a.CA == "" { // Cassandra, Redis and the like outside of AWS have certificates of public authorities
		if public, err := x509.SystemCertPool(); err == nil {
			roots = public
		}
	}
	roots.AppendCertsFromPEM([]byte(authorities))
	r := &relay{
		tunnel: a.Local.String(), say: a.Say, said: map[string]bool{},
		upstream: &tls.Config{RootCAs: roots, ServerName: strings.TrimSuffix(a.Host.Host, "."), MinVersion: tls.VersionTLS12},
	}
	if a.Host.Kind == aws.KindMySQL {
		certificate, authority, err := ownCertificate(a.Host.Host)
		if err != nil {
			return nil, err
		}
		r.own, r.authority = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}, authority
	}
	var config net.ListenConfig
	r.ctx, r.stop = context.WithCancel(context.Background())
	var err error
	if r.listener, err = config.Listen(r.ctx, "tcp", netip.AddrPortFrom(a.Local.Addr(), 0).String()); err != nil {
		r.stop()
		return nil, fmt.Errorf("listen for the program: %w", err)
	}
	r.serving.Go(r.serve)
	return r, nil
}

func (r *relay) at() netip.AddrPort {
	at, _ := netip.ParseAddrPort(r.listener.Addr().String()) // it listens on TCP
	return at
}

// close ends what is under way and waits for it.
func (r *relay) close() {
	r.stop()
	_ = r.listener.Close()
	r.serving.Wait()
}

func (r *relay) serve() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.serving.Go(func() {
			// The program learns of the end after the user has been told why: it may end then, and the relay with it.
			if err := r.carry(client); err != nil && r.ctx.Err() == nil {
				r.complain(err)
				hearOut(client.(*net.TCPConn)) //nolint:forcetypeassert // the listener is TCP
			}
			_ = client.Close()
		})
	}
}

// complain says each trouble once: programs try again.
func (r *relay) complain(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if text := err.Error(); !r.said[text] && len(r.said) < 20 {
		r.said[text] = true
		r.say(text)
	}
}

// hearOut reads what a program has still sent, for a moment: to close on that would reset the connection, and take what the program
// was told away from it.
func hearOut(client *net.TCPConn) {
	_ = client.CloseWrite()
	_ = client.SetReadDeadline(time.Now().Add(time.Second))
	_, _ = io.Copy(io.Discard, client)
}

// carry is one connection, which it leaves open. Its error is what keeps it from the database; how it ends later is no trouble.
func (r *relay) carry(client net.Conn) error {
	var dialer net.Dialer
	database, err := dialer.DialContext(r.ctx, "tcp", r.tunnel)
	if err != nil {
		return fmt.Errorf("reach the tunnel: %w", err)
	}
	defer database.Close() //nolint:errcheck // nothing is lost
	ended := context.AfterFunc(r.ctx, func() {
		_ = client.Close()
		_ = database.Close()
	})
	defer ended()
	deadline := time.Now().Add(handshakeTime)
	for _, c := range []net.Conn{client, database} {
		_ = c.SetDeadline(deadline) // it is open
	}
	if r.own != nil {
		if goOn, err := askMySQL(client, database, r.complain); !goOn {
			return err
		}
	}
	up := tls.Client(database, r.upstream)
	if err := up.HandshakeContext(r.ctx); err != nil {
		return r.explain(err)
	}
	var down conn = client.(*net.TCPConn) //nolint:forcetypeassert // the listener is TCP
	if r.own != nil {
		secured := tls.Server(client, r.own)
		if err := secured.HandshakeContext(r.ctx); err != nil {
			return fmt.Errorf("agree with the program on TLS: %w", err)
		}
		down = secured
	}
	for _, c := range []net.Conn{client, database} {
		_ = c.SetDeadline(time.Time{})
	}
	exchange(down, up)
	return nil
}

// conn is a connection of which one half can be closed.
type conn interface {
	net.Conn
	CloseWrite() error
}

// exchange copies both ways until both are done.
func exchange(a, b conn) {
	var there sync.WaitGroup
	there.Go(func() { pass(a, b) })
	pass(b, a)
	there.Wait()
}

// pass copies to its end, which it passes on. What broke off breaks the other half off as well.
func pass(to, from conn) {
	if _, err := io.Copy(to, from); err != nil {
		_ = to.Close()
		_ = from.Close()
		return
	}
	_ = to.CloseWrite()
}

// explain says what is wrong with the database's TLS.
func (r *relay) explain(err error) error {
	name := r.upstream.ServerName
	if wrong, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Errorf("the certificate of %s is not accepted: %w; name the authority's file with --ca", name, wrong.Err)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || isRecordError(err) {
		return fmt.Errorf("%s does not speak TLS: %w; use --tls=no if it has none", name, err)
	}
	return fmt.Errorf("agree with %s on TLS: %w; use --tls=no if it has none", name, err)
}

func isRecordError(err error) bool {
	_, is := errors.AsType[tls.RecordHeaderError](err)
	return is
}

// ownCertificate is the relay's, for programs of this machine, and as good as its own authority.
func ownCertificate(host string) (certificate tls.Certificate, authority string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, "", fmt.Errorf("make a certificate: %w", err)
	}
	now := time.Now()
	form := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "culvert db"}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 1, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost", host}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, "", fmt.Errorf("make a certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), nil
}
