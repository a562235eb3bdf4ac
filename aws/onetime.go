package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
)

// AskCode asks the user for the one-time code that a device shows now, for the role of a profile. serial is the device's serial
// number (mfa_serial).
type AskCode func(ctx context.Context, profile, serial string) (string, error)

// ErrNoCode is what an AskCode returns when it cannot ask, because a role's session has ended while culvert is at work.
var ErrNoCode = errors.New("nobody is asked for a one-time code now")

// codeForm is the form of the codes that devices show; STS takes no other.
var codeForm = regexp.MustCompile(`^[0-9]{6}$`)

// IsCode reports whether a text has the form of a one-time code.
func IsCode(text string) bool { return codeForm.MatchString(text) }

// oneTime assumes the roles of profiles with mfa_serial. A code can be used only once, so the session that it has opened is
// kept as long as it lasts, in a file for later commands of the same user, as the aws command does.
type oneTime struct {
	log     *slog.Logger
	ask     AskCode // nil when there is nobody to ask
	dir     string  // of the files; empty when sessions are kept in this process alone
	profile string
	of      []string // what identifies a kept session besides the input of the call

	mu     sync.Mutex
	handed map[string]string // access key ids that were handed out, by file: when a session is asked for again, that one was no good
}

// keptRole is a role's session as a file keeps it.
type keptRole struct {
	Role      string    `json:"role"`    // ARN
	Session   string    `json:"session"` // ARN
	AssumedID string    `json:"id"`
	ID        string    `json:"accessKeyId"`
	Secret    string    `json:"secretAccessKey"`
	Token     string    `json:"sessionToken"`
	Expires   time.Time `json:"expiration"`
}

// keptAtLeast is how much longer a session that comes from a file has to last.
const keptAtLeast = expiryWindow + time.Minute

// assume is AssumeRole with a code, or a session that an earlier code has opened.
func (o *oneTime) assume(ctx context.Context, in *sts.AssumeRoleInput, call func(*sts.AssumeRoleInput) (*sts.AssumeRoleOutput, error)) (*sts.AssumeRoleOutput, error) {
	path := o.path(in)
	if out := o.kept(path); out != nil {
		return out, nil
	}
	if o.ask == nil {
		return nil, &MFAError{Profile: o.profile}
	}
	code, err := o.ask(ctx, o.profile, sdk.ToString(in.SerialNumber))
	switch {
	case errors.Is(err, ErrNoCode):
		return nil, &MFAError{Profile: o.profile, Over: true}
	case err != nil:
		return nil, fmt.Errorf("ask for a one-time code: %w", err)
	}
	with := *in
	with.TokenCode = &code
	out, err := call(&with)
	if err == nil {
		o.keep(path, sdk.ToString(in.RoleArn), out)
	}
	return out, err
}

// path is the file for the session of a call; empty when none is kept.
func (o *oneTime) path(in *sts.AssumeRoleInput) string {
	if o.dir == "" {
		return ""
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %q %d", o.of, sdk.ToString(in.RoleArn), sdk.ToString(in.RoleSessionName),
		sdk.ToString(in.SerialNumber), sdk.ToString(in.ExternalId), sdk.ToInt32(in.DurationSeconds)))
	return filepath.Join(o.dir, hex.EncodeToString(sum[:])+".json")
}

// kept is a session that an earlier command has left; nil when there is none that can be used.
func (o *oneTime) kept(path string) *sts.AssumeRoleOutput {
	role, ok := readKept(path)
	if !ok || time.Until(role.Expires) < keptAtLeast {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.handed[path] == role.ID {
		return nil
	}
	o.handed[path] = role.ID
	return &sts.AssumeRoleOutput{
		Credentials:     &types.Credentials{AccessKeyId: &role.ID, SecretAccessKey: &role.Secret, SessionToken: &role.Token, Expiration: &role.Expires},
		AssumedRoleUser: &types.AssumedRoleUser{Arn: &role.Session, AssumedRoleId: &role.AssumedID},
	}
}

func readKept(path string) (role keptRole, ok bool) {
	text, err := os.ReadFile(path) //nolint:gosec // a file of our own
	if err != nil || json.Unmarshal(text, &role) != nil || role.ID == "" || role.Secret == "" || role.Token == "" {
		return keptRole{}, false
	}
	return role, true
}

// keep writes a session into its file for later commands, and removes the files of sessions that have ended. When the file
// cannot be written, the next command needs another code.
func (o *oneTime) keep(path, arn string, out *sts.AssumeRoleOutput) {
	if path == "" || out.Credentials == nil {
		return
	}
	role := keptRole{
		Role: arn, ID: sdk.ToString(out.Credentials.AccessKeyId), Secret: sdk.ToString(out.Credentials.SecretAccessKey),
		Token: sdk.ToString(out.Credentials.SessionToken), Expires: sdk.ToTime(out.Credentials.Expiration),
	}
	if out.AssumedRoleUser != nil {
		role.Session, role.AssumedID = sdk.ToString(out.AssumedRoleUser.Arn), sdk.ToString(out.AssumedRoleUser.AssumedRoleId)
	}
	o.mu.Lock()
	o.handed[path] = role.ID
	o.mu.Unlock()
	if err := o.write(path, role); err != nil {
		o.log.Warn("the role's session is not kept: the next command asks for a code again", "error", err)
	}
}

func (o *oneTime) write(path string, role keptRole) error {
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return fmt.Errorf("keep a role's session: %w", err)
	}
	old, _ := filepath.Glob(filepath.Join(o.dir, "*.json"))
	for _, file := range old {
		if role, ok := readKept(file); !ok || time.Now().After(role.Expires) {
			_ = os.Remove(file)
		}
	}
	text, err := json.Marshal(role) //nolint:gosec // secrets are what the file is for
	if err != nil {
		return fmt.Errorf("keep a role's session: %w", err)
	}
	file, err := os.CreateTemp(o.dir, "new-") // with mode 0600
	if err != nil {
		return fmt.Errorf("keep a role's session: %w", err)
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
		return fmt.Errorf("keep a role's session: %w", err)
	}
	return nil
}

// WantsCode reports whether these options use a role that needs a one-time code.
func WantsCode(ctx context.Context, o Options) bool {
	if o.Keys != (Keys{}) {
		return false
	}
	cfg, err := config.LoadDefaultConfig(ctx, config.WithSharedConfigProfile(profileName(o.Profile)),
		config.WithAssumeRoleCredentialOptions(func(r *stscreds.AssumeRoleOptions) { r.TokenProvider = neverAsked }))
	if err != nil {
		return false // Connect explains it
	}
	for _, source := range cfg.ConfigSources {
		if profile, ok := source.(config.SharedConfig); ok {
			for at := &profile; at != nil; at = at.Source {
				if at.MFASerial != "" {
					return true
				}
			}
		}
	}
	return false
}

// neverAsked satisfies the SDK, which makes its chain only when there is somebody to ask for a code. The code is added later,
// by oneTime.assume, which has the call and its context.
func neverAsked() (string, error) { return "", nil }
