package dbclient

import (
	"crypto/x509"
	_ "embed" // of the authorities
	"fmt"
	"os"
	"strings"

	"culvert/internal/pattern"
)

// authorities are what signs the certificates of AWS's databases: the roots of RDS in most regions, and those of Amazon Trust
// Services, which RDS proxies and ElastiCache have. authorities.sh writes the file anew.
//
//go:embed authorities.pem
var authorities string

// rdsName is a host of RDS, with the region in it; those of proxies have the roots that are the same everywhere.
var rdsName = pattern.Of(`(?i)^[^.]+\.([^.]+)\.([a-z]{2}(?:-[a-z]+)+-\d)\.rds\.amazonaws\.com(?:\.cn)?\.?$`) //nolint:gochecknoglobals // compiled when it is needed

// signed reports whether the carried authorities sign for a host, as far as its name tells.
func signed(host string) error {
	match := rdsName().FindStringSubmatch(host)
	if match == nil || strings.HasPrefix(match[1], "proxy-") || strings.Contains(authorities, "CN=Amazon RDS "+match[2]+" Root CA ") {
		return nil
	}
	return &RegionError{Region: match[2]}
}

// RegionError means that the authorities of a region are not among the carried ones.
type RegionError struct{ Region string }

func (e *RegionError) Error() string {
	return "the authorities of Amazon RDS in " + e.Region + " are not among those that culvert carries"
}

// Remedy says where AWS has them.
func (e *RegionError) Remedy() string {
	at := "https://truststore.pki.rds.amazonaws.com/"
	if strings.HasPrefix(e.Region, "cn-") {
		at = "https://rds-truststore.s3.cn-north-1.amazonaws.com.cn/"
	}
	return fmt.Sprintf("download %s%s/%s-bundle.pem and name it with --ca", at, e.Region, e.Region)
}

// trusted are the authorities of a file, in PEM.
func trusted(path string) (string, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the user names it
	if err != nil {
		return "", &AuthorityError{Path: path, Err: err}
	}
	if !x509.NewCertPool().AppendCertsFromPEM(text) {
		return "", &AuthorityError{Path: path}
	}
	return string(text), nil
}

// AuthorityError means that the file of --ca cannot be used.
type AuthorityError struct {
	Path string
	Err  error // nil when there is no certificate in it
}

func (e *AuthorityError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("there is no certificate in %s", e.Path)
	}
	return fmt.Sprintf("read authorities: %v", e.Err)
}
func (e *AuthorityError) Unwrap() error { return e.Err }

// Remedy says what is expected.
func (e *AuthorityError) Remedy() string { return "name a file of certificates (PEM) with --ca" }
