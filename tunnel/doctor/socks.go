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

// errSOCKSLogin means that a SOCKS server wants a login, or another one than it was given.
var errSOCKSLogin = errors.New("the SOCKS server wants a user and password")

// errNoSOCKS means that a server does not answer as a SOCKS server does.
var errNoSOCKS = errors.New("no SOCKS server")

// greetSOCKS begins as a SOCKS5 client and logs in where that is wanted. Before the server has shown that it is a SOCKS server,
// at most four bytes are sent, so that no other server gets to see the login.
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
	case chosen[1] == socksNone: // before chatters, which could fail as the server may have hung up already
		return errSOCKSLogin
	}
	switch more, err := chatters(conn, until); {
	case err != nil:
		return err
	case more:
		return errNoSOCKS
	case chosen[1] == socksNobody:
		return nil
	case chosen[1] != socksUser || login == nil: // the server has chosen a method that was not offered
		return errNoSOCKS
	}
	ask := appendShort(appendShort([]byte{socksLoginVersion}, login.User), login.password)
	if _, err := conn.Write(ask); err != nil {
		return err
	}
	var verdict [2]byte
	if _, err := io.ReadFull(conn, verdict[:]); err != nil || verdict[1] != 0 {
		return errSOCKSLogin // some servers hang up instead of refusing a login
	}
	return nil
}

// appendShort appends the length of a text, one byte, and the text, of which it takes maxLogin bytes at the most.
func appendShort(b []byte, text string) []byte {
	return append(append(b, byte(min(len(text), maxLogin))), text[:min(len(text), maxLogin)]...)
}

// askSOCKS finds out whether a SOCKS5 server is at the far end, and whether it wants a login, or another one than login.
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

// chatters reports whether a server sends more than a SOCKS server would, which waits for the client now; an echo server does,
// for instance.
func chatters(conn net.Conn, until time.Time) (bool, error) {
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		return false, err
	}
	n, _ := conn.Read(make([]byte, 1))
	return n > 0, conn.SetReadDeadline(until)
}

// throughSOCKS asks a SOCKS5 server for a connection to a host. The error is a *RefusalError when the server refuses.
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

// skipAddress reads the address and port in the answer of a server that has connected; they are of no use here.
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

// socksReason reads the reason from the reply of a server that has not connected (RFC 1928, 6), and words it.
func socksReason(reply byte) (Reason, string) {
	switch reply {
	case 2:
		return ReasonRule, "not allowed by its rules"
	case 3:
		return ReasonNoRoute, "network unreachable"
	case 4:
		return ReasonUnresolved, "host unreachable" // the request names the host, so the name could not be resolved
	case 5:
		return ReasonRefused, "connection refused"
	case 6:
		return ReasonDropped, "time to live expired"
	}
	return ReasonOther, fmt.Sprintf("failure %d", reply)
}
