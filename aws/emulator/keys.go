package emulator

import (
	"crypto/rand"
	"encoding/base64"
	"strings"
	"sync"
	"time"
)

// The access key of Credentials, which is the example of AWS's documentation.
const (
	staticKeyID  = "AKIAIOSFODNN7EXAMPLE"                     //nolint:gosec // as below
	staticSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" //nolint:gosec // not a secret: the documentation's example
)

// key is an access key. A temporary key has a token and expires.
type key struct {
	ID, Secret, Token string
	caller            caller
	expires           time.Time // zero when it does not expire
}

// keyring holds the account's access keys. It is safe for concurrent use.
type keyring struct {
	mu   sync.Mutex
	keys map[string]key
}

func newKeyring() *keyring { return &keyring{keys: map[string]key{}} }

func (k *keyring) add(one key) {
	one.caller.AccessKey = one.ID
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys[one.ID] = one
}

func (k *keyring) find(id string) (key, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	one, ok := k.keys[id]
	return one, ok
}

func (k *keyring) expire(id string, at time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if one, ok := k.keys[id]; ok {
		one.expires = at
		k.keys[id] = one
	}
}

// temporary makes a key that expires, and adds it.
func (k *keyring) temporary(who caller, expires time.Time) key {
	one := key{
		ID: "ASIA" + rand.Text()[:16], Secret: secret(30), Token: "IQoJb3JpZ2luX2Vj" + secret(90),
		caller: who, expires: expires,
	}
	k.add(one)
	return one
}

func secret(length int) string {
	b := make([]byte, length)
	_, _ = rand.Read(b) // never fails, see crypto/rand
	return base64.StdEncoding.EncodeToString(b)
}

// ExpireCredentials makes an access key expire at once: calls are answered with ExpiredToken, websocket upgrades with 403.
func (e *Emulator) ExpireCredentials(accessKey string) { e.keys.expire(accessKey, e.now()) }

// RenewCredentials undoes ExpireCredentials: the key is valid for d from now.
func (e *Emulator) RenewCredentials(accessKey string, d time.Duration) {
	e.keys.expire(accessKey, e.now().Add(d))
}

// User adds an IAM user with an access key of its own, for tests of what one user may do.
func (e *Emulator) User(name string) (accessKey, secretKey string) {
	who := e.fleet.user(name)
	who.UserID = "AIDA" + strings.ToUpper(name)
	one := key{ID: "AKIA" + rand.Text()[:16], Secret: secret(30), caller: who}
	e.keys.add(one)
	return one.ID, one.Secret
}
