package emulator

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"culvert/aws/wire"
)

// kmsKeyID is the only key of the account, which encrypts sessions when Faults.KMS is set.
const kmsKeyID = "1b2c3d4e-5f60-4718-8293-a4b5c6d7e8f9"

// sessionKeyLength is the length, in bytes, of a session's data key: it has an AES-256 key for each direction.
const sessionKeyLength = 64

// vault encrypts data keys with a master key that it gives to nobody.
type vault struct{ master *encryption }

func newVault() vault {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	master, err := newEncryption(key, key)
	if err != nil {
		panic(err) // cannot happen: 32 bytes are a key
	}
	return vault{master: master}
}

// encryptionContext binds a data key to a session, under the names that agent and plugin use.
func encryptionContext(id, target string) map[string]string {
	return map[string]string{"aws:ssm:SessionId": id, "aws:ssm:TargetId": target}
}

// aad is an encryption context as the additional data of AES-GCM. JSON sorts the names, so it is always the same text.
func aad(context map[string]string) []byte {
	if len(context) == 0 {
		return nil
	}
	text, err := json.Marshal(context)
	if err != nil {
		return nil // cannot happen: strings can always be encoded
	}
	return text
}

func (v vault) encrypt(key []byte, context map[string]string) []byte {
	return v.master.sealing(key, aad(context))
}

func (v vault) decrypt(blob []byte, context map[string]string) ([]byte, error) {
	return v.master.opening(blob, aad(context))
}

func (d *dataPath) keyARN() string { return d.emulator.fleet.arn("kms", "key/"+kmsKeyID) }

// kmsAction is the handler of an action of KMS.
func (e *Emulator) kmsAction(action string) (handler, bool) {
	switch action {
	case "GenerateDataKey":
		return e.generateDataKey, true
	case "Decrypt":
		return e.decryptDataKey, true
	}
	return nil, false
}

type generateDataKeyInput struct {
	KeyID             string `json:"KeyId"`
	NumberOfBytes     int
	KeySpec           string
	EncryptionContext map[string]string
}

type dataKeyOutput struct {
	CiphertextBlob      []byte `json:",omitempty"`
	Plaintext           []byte
	KeyID               string `json:"KeyId"`
	EncryptionAlgorithm string `json:",omitempty"`
}

func (e *Emulator) generateDataKey(r *request) (any, error) {
	in, err := decode[generateDataKeyInput](r)
	if err != nil {
		return nil, err
	}
	if err := e.data.keyFor(r, "GenerateDataKey", in.KeyID); err != nil {
		return nil, err
	}
	length := in.NumberOfBytes
	switch in.KeySpec {
	case "":
	case "AES_256":
		length = 32
	case "AES_128":
		length = 16
	default:
		return nil, invalid("keySpec", in.KeySpec, "Member must satisfy enum value set: [AES_256, AES_128]")
	}
	if (in.KeySpec == "") == (in.NumberOfBytes == 0) {
		return nil, &apiError{Code: "ValidationException", Message: "Please specify either number of bytes or key spec."}
	}
	if length < 1 || length > 1024 {
		return nil, invalid("numberOfBytes", strconv.Itoa(length), "Member must have value between 1 and 1024")
	}
	key := make([]byte, length)
	_, _ = rand.Read(key) // never fails
	return dataKeyOutput{CiphertextBlob: e.data.keys.encrypt(key, in.EncryptionContext), Plaintext: key, KeyID: e.data.keyARN()}, nil
}

type decryptInput struct {
	CiphertextBlob    []byte
	KeyID             string `json:"KeyId"`
	EncryptionContext map[string]string
}

func (e *Emulator) decryptDataKey(r *request) (any, error) {
	in, err := decode[decryptInput](r)
	if err != nil {
		return nil, err
	}
	if in.KeyID == "" {
		in.KeyID = kmsKeyID
	}
	if err := e.data.keyFor(r, "Decrypt", in.KeyID); err != nil {
		return nil, err
	}
	key, err := e.data.keys.decrypt(in.CiphertextBlob, in.EncryptionContext)
	if err != nil {
		return nil, &apiError{Code: "InvalidCiphertextException"} // KMS has no message for this error
	}
	return dataKeyOutput{Plaintext: key, KeyID: e.data.keyARN(), EncryptionAlgorithm: "SYMMETRIC_DEFAULT"}, nil
}

// keyFor checks that a key exists, and that a call may use it.
func (d *dataPath) keyFor(r *request, action, id string) error {
	if id == "" {
		return invalid("keyId", "null", "Member must not be null")
	}
	if err := d.admit(r, "kms", action, d.keyARN()); err != nil {
		return err
	}
	if id != kmsKeyID && id != d.keyARN() {
		return &apiError{Code: "NotFoundException", Message: fmt.Sprintf("Key '%s' does not exist", id)}
	}
	return nil
}

// encryption is AES-GCM with a key for each direction. The nonce is put in front of the text.
type encryption struct{ out, in cipher.AEAD }

func newEncryption(outKey, inKey []byte) (*encryption, error) {
	var e encryption
	for _, one := range []struct {
		key []byte
		to  *cipher.AEAD
	}{{outKey, &e.out}, {inKey, &e.in}} {
		block, err := aes.NewCipher(one.key)
		if err != nil {
			return nil, fmt.Errorf("make cipher: %w", err)
		}
		if *one.to, err = cipher.NewGCM(block); err != nil {
			return nil, fmt.Errorf("make cipher: %w", err)
		}
	}
	return &e, nil
}

func (e *encryption) encrypt(text []byte) []byte          { return e.sealing(text, nil) }
func (e *encryption) decrypt(text []byte) ([]byte, error) { return e.opening(text, nil) }

func (e *encryption) sealing(text, aad []byte) []byte {
	nonce := make([]byte, e.out.NonceSize(), e.out.NonceSize()+len(text)+e.out.Overhead())
	_, _ = rand.Read(nonce) // never fails
	return e.out.Seal(nonce, nonce, text, aad)
}

func (e *encryption) opening(text, aad []byte) ([]byte, error) {
	size := e.in.NonceSize()
	if len(text) < size {
		return nil, errors.New("ciphertext too short")
	}
	plain, err := e.in.Open(nil, text[:size], text[size:], aad)
	if err != nil {
		return nil, fmt.Errorf("decrypt: %w", err)
	}
	return plain, nil
}

// open decrypts the payload of a message, if the session is encrypted.
func (c *channel) open(body []byte) ([]byte, error) {
	e := c.seal.Load()
	if e == nil {
		return body, nil
	}
	return e.decrypt(body)
}

// mayDecrypt asks IAM whether the task's role may decrypt data keys, as the agent has the credentials of that role alone.
func (a *agent) mayDecrypt() error {
	t := a.session.container.task
	role := or(t.pattern.OverrideRole, a.data.emulator.fleet.taskRole(t.definition))
	name := role[strings.LastIndexByte(role, '/')+1:]
	bearer := caller{ARN: "arn:aws:sts::" + a.data.emulator.fleet.id + ":assumed-role/" + name + "/" + t.id}
	err := a.data.admit(&request{Caller: bearer, Region: a.data.emulator.fleet.region}, "kms", "Decrypt", a.data.keyARN())
	if err != nil {
		// The texts of agent/session/crypto/kms.go and datachannel.go in amazon-ssm-agent.
		return sessionError("Fetching data key failed: Unable to retrieve data key, Error when decrypting data key " + err.Error())
	}
	return nil
}

// challenge has the client prove that it has the data key, and then turns encryption on.
func (a *agent) challenge(ctx context.Context, timeout <-chan time.Time, key []byte) error {
	if len(key) != sessionKeyLength {
		return sessionError(fmt.Sprintf("Encryption could not be set up: a data key of %d bytes", len(key)))
	}
	keys, err := newEncryption(key[:sessionKeyLength/2], key[sessionKeyLength/2:])
	if err != nil {
		return sessionError("Encryption could not be set up: " + err.Error())
	}
	challenge := make([]byte, 64)
	_, _ = rand.Read(challenge) // never fails
	body, err := json.Marshal(wire.ChallengeRequest{Challenge: keys.encrypt(challenge)})
	if err != nil {
		return fmt.Errorf("encode challenge: %w", err)
	}
	a.send(wire.EncryptionRequestType, body)
	answer, err := a.answer(ctx, timeout, wire.EncryptionResponseType)
	if err != nil {
		return err
	}
	var response wire.ChallengeResponse
	if err := wire.ParseJSON(bytes.Clone(answer.Body), &response); err != nil {
		return sessionError("Encryption challenge could not be read: " + err.Error())
	}
	plain, err := keys.decrypt(response.Challenge)
	if err != nil || subtle.ConstantTimeCompare(plain, challenge) != 1 {
		return sessionError("Encryption challenge does not match")
	}
	a.seal.Store(keys)
	return nil
}
