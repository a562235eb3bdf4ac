package doctor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// The bytes of SOCKS5 (RFC 1928) and of its login (RFC 1929).
const (
	socksVersion, socksLoginVersion   = 5, 1
	socksNobody, socksUser, socksNone = 0, 2, 0xff // methods: without a login, with one, none of those that were offered
	socksConnect, socksName           = 1, 3
)

// errSOCKSLogin is a SOCKS server that wants another login than it was given, or one at all.
var errSOCKSLogin = errors.New("the SOCKS server wants a user and password")

// errNoSOCKS is a server that answers a SOCKS client in another tongue.
var errNoSOCKS = errors.New("no SOCKS server")

// greetSOCKS begins as a client of SOCKS5 and logs in where that is wanted. Nothing is sent but four bytes at the most
// before the server has shown that it is one, so that no other gets to see the login.
func greetSOCKS(conn net.Conn, login *Login, until time.Time) error {
	greeting := []byte{socksVersion, 1, socksNobody}
	if login != nil {
		greeting = []byte{socksVersion, 2, socksNobody, socksUser}
	}
	if _, err := conn.Write(greeting); err != nil {
		return err
	}
	var chosen [2]byte
	if _, err := io.ReadFull(conn, chosen[:]); err != nil {
		return err
	}
	switch {
	case chosen[0] != socksVersion:
		return errNoSOCKS
	case chosen[1] == socksNone: // it may have hung up already
		return errSOCKSLogin
	}
	switch more, err := chatters(conn, until); {
	case err != nil:
		return err
	case more:
		return errNoSOCKS
	case chosen[1] == socksNobody:
		return nil
	case chosen[1] != socksUser || login == nil: // it was not offered
		return errNoSOCKS
	}
	ask := appendShort(appendShort([]byte{socksLoginVersion}, login.User), login.password)
	if _, err := conn.Write(ask); err != nil {
		return err
	}
	var verdict [2]byte
	if _, err := io.ReadFull(conn, verdict[:]); err != nil || verdict[1] != 0 {
		return errSOCKSLogin // some hang up instead of saying no
	}
	return nil
}

// appendShort adds a text behind its length, which is at most maxLogin.
func appendShort(b []byte, text string) []byte {
	return append(append(b, byte(min(len(text), maxLogin))), text[:min(len(text), maxLogin)]...)
}

// askSOCKS finds out whether a SOCKS5 server is at the far end, and whether it wants another login.
func askSOCKS(ctx context.Context, dial Dial, login *Login, patience time.Duration) (is, wantsLogin bool) {
	conn, stop, err := open(ctx, dial)
	if err != nil {
		return false, false
	}
	defer stop()
	until := time.Now().Add(patience)
	if conn.SetDeadline(until) != nil {
		return false, false
	}
	err = greetSOCKS(conn, login, until)
	wantsLogin = errors.Is(err, errSOCKSLogin)
	return err == nil || wantsLogin, wantsLogin
}

// chatters reports whether a server says more than it was asked for, as an echo does; a SOCKS server waits now.
func chatters(conn net.Conn, until time.Time) (bool, error) {
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		return false, err
	}
	n, _ := conn.Read(make([]byte, 1))
	return n > 0, conn.SetReadDeadline(until)
}

// throughSOCKS asks a SOCKS5 server for a connection to a host: *RefusalError when it cannot.
func throughSOCKS(conn net.Conn, login *Login, host, port string, until time.Time) error {
	refused := &RefusalError{Host: host, Port: port, Method: "CONNECT of SOCKS5", Reason: ReasonLogin}
	switch err := greetSOCKS(conn, login, until); {
	case errors.Is(err, errSOCKSLogin):
		refused.Says = "no method without a user"
		if login != nil {
			refused.Says = "not this user and password"
		}
		return refused
	case err != nil:
		return err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || len(host) > maxLogin {
		return fmt.Errorf("ask the SOCKS server for %s: no such destination", host)
	}
	request := appendShort([]byte{socksVersion, socksConnect, 0, socksName}, host)
	began := time.Now()
	if _, err := conn.Write(binary.BigEndian.AppendUint16(request, uint16(number))); err != nil {
		return err
	}
	var head [4]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return err
	}
	if head[1] != 0 {
		refused.After = time.Since(began)
		refused.Reason, refused.Says = socksReason(head[1])
		return refused
	}
	return skipAddress(conn, head[3])
}

// skipAddress reads the address behind a grant, which says nothing that is wanted.
func skipAddress(conn net.Conn, kind byte) error {
	length := map[byte]int{1: net.IPv4len, 4: net.IPv6len}[kind]
	if kind == socksName {
		var n [1]byte
		if _, err := io.ReadFull(conn, n[:]); err != nil {
			return err
		}
		length = int(n[0])
	}
	_, err := io.CopyN(io.Discard, conn, int64(length)+2)
	return err
}

// socksReason reads the reply of a server that does not connect (RFC 1928, 6).
func socksReason(reply byte) (Reason, string) {
	switch reply {
	case 2:
		return ReasonRule, "not allowed by its rules"
	case 3:
		return ReasonNoRoute, "network unreachable"
	case 4:
		return ReasonUnresolved, "host unreachable" // of a name: what cannot be resolved
	case 5:
		return ReasonRefused, "connection refused"
	case 6:
		return ReasonDropped, "time to live expired"
	}
	return ReasonOther, fmt.Sprintf("failure %d", reply)
}
