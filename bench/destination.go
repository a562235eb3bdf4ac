//go:build linux

package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// A client's first line says what the destination does with the connection.
const (
	wordEcho   = "echo"   // sends back what comes
	wordUpload = "upload" // "upload N": takes N bytes and answers their SHA-256 in hexadecimal
	wordSource = "source" // "source N": sends N bytes and their SHA-256 in hexadecimal
)

// blockSize is how much random data is made; transfers repeat it.
const blockSize = 1 << 20

// destination is the server behind the container's port.
type destination struct {
	listener net.Listener
	block    []byte
	received atomic.Int64 // bytes of all uploads
	serving  sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
	over  bool
}

func startDestination() (*destination, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // nothing to wait for
	if err != nil {
		return nil, fmt.Errorf("start the destination: %w", err)
	}
	d := &destination{listener: l, block: randomBlock(), conns: map[net.Conn]bool{}}
	d.serving.Go(d.accept)
	return d, nil
}

// randomBlock returns bytes that do not compress.
func randomBlock() []byte {
	b := make([]byte, blockSize)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b) // it never fails
	return b
}

func (d *destination) address() string { return d.listener.Addr().String() }

func (d *destination) close() {
	_ = d.listener.Close()
	d.mu.Lock()
	d.over = true
	for c := range d.conns {
		_ = c.Close()
	}
	d.mu.Unlock()
	d.serving.Wait()
}

func (d *destination) accept() {
	for {
		conn, err := d.listener.Accept()
		if err != nil {
			return
		}
		d.mu.Lock()
		if d.over {
			_ = conn.Close()
		}
		d.conns[conn] = true
		d.mu.Unlock()
		d.serving.Go(func() {
			_ = d.serve(conn) // the client sees what is missing
			_ = conn.Close()
			d.mu.Lock()
			delete(d.conns, conn)
			d.mu.Unlock()
		})
	}
}

func (d *destination) serve(conn net.Conn) error {
	r := bufio.NewReaderSize(conn, 64<<10)
	line, err := r.ReadString('\n')
	if err != nil {
		return err // a probe
	}
	word, count, _ := strings.Cut(strings.TrimSpace(line), " ")
	n, _ := strconv.ParseInt(count, 10, 64) // 0 for an echo
	switch word {
	case wordEcho:
		_, err = io.Copy(conn, r)
	case wordUpload:
		err = d.take(conn, r, n)
	case wordSource:
		digest := sha256.New()
		if err = pour(io.MultiWriter(conn, digest), d.block, n); err == nil {
			_, err = io.WriteString(conn, hexDigest(digest))
		}
	default:
		err = errors.New("the client asks for something unknown")
	}
	return err
}

// take reads an upload of n bytes and answers its digest.
func (d *destination) take(w io.Writer, r io.Reader, n int64) error {
	digest, buffer := sha256.New(), make([]byte, 64<<10)
	for n > 0 {
		k, err := r.Read(buffer[:min(n, int64(len(buffer)))])
		digest.Write(buffer[:k])
		d.received.Add(int64(k))
		n -= int64(k)
		if err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, hexDigest(digest))
	return err
}

// pour writes n bytes, the block over and over.
func pour(w io.Writer, block []byte, n int64) error {
	const piece = 64 << 10
	for at := 0; n > 0; {
		k := int(min(n, piece, int64(len(block)-at)))
		if _, err := w.Write(block[at : at+k]); err != nil {
			return err
		}
		n -= int64(k)
		at = (at + k) % len(block)
	}
	return nil
}

func hexDigest(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
