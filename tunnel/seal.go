package tunnel

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"culvert/aws/wire"
)

// The sizes, in bytes, of AWS's session encryption: AES-256-GCM with the nonce in front of the ciphertext, and one key for each
// direction (session-manager-plugin, src/encryption/encrypter.go).
const (
	sealKey      = 32
	sealNonce    = 12
	sealOverhead = sealNonce + 16
)

// sealer encrypts the stream data of a session whose account asks for it.
type sealer struct{ out, in cipher.AEAD }

// newSealer takes the 64 bytes of a KMS data key: the agent encrypts with the first half, the client with the second.
func newSealer(key []byte) (*sealer, error) {
	if len(key) != 2*sealKey {
		return nil, fmt.Errorf("data key has %d bytes, want %d", len(key), 2*sealKey)
	}
	in, err := gcm(key[:sealKey])
	if err != nil {
		return nil, err
	}
	out, err := gcm(key[sealKey:])
	if err != nil {
		return nil, err
	}
	return &sealer{out: out, in: in}, nil
}

func gcm(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("session key: %w", err)
	}
	return cipher.NewGCM(block)
}

func (s *sealer) seal(plain []byte) ([]byte, error) {
	b := make([]byte, sealNonce, sealOverhead+len(plain))
	if _, err := rand.Read(b); err != nil {
		return nil, fmt.Errorf("nonce: %w", err)
	}
	return s.out.Seal(b, b, plain, nil), nil
}

func (s *sealer) open(sealed []byte) ([]byte, error) {
	if len(sealed) < sealOverhead {
		return nil, fmt.Errorf("%w: %d encrypted bytes", wire.ErrShort, len(sealed))
	}
	plain, err := s.in.Open(nil, sealed[:sealNonce], sealed[sealNonce:], nil)
	if err != nil {
		return nil, errors.New("stream data does not decrypt with the session's key")
	}
	return plain, nil
}

// answer decrypts the agent's challenge and encrypts it with the client's key.
func (s *sealer) answer(challenge []byte) ([]byte, error) {
	plain, err := s.open(challenge)
	if err != nil {
		return nil, err
	}
	return s.seal(plain)
}

// sealedHash is the SHA-256 of the encrypted data key, which the handshake response carries beside it.
func sealedHash(sealed []byte) []byte {
	sum := sha256.Sum256(sealed)
	return bytes.Clone(sum[:])
}
