package aws

import (
	"crypto/x509"
	"fmt"
	"os"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// bundleVariable names the file of authorities that the aws command trusts when neither AWS_CA_BUNDLE nor the profile's
// ca_bundle is set (botocore, args.py). Companies whose proxies inspect TLS set it for Python programs. The SDK does not read
// it.
const bundleVariable = "REQUESTS_CA_BUNDLE"

// otherBundle returns the authorities of the file that bundleVariable names; nil when it names none, or when another bundle was
// loaded.
func otherBundle(loaded sdk.Config) (*x509.CertPool, error) {
	path := os.Getenv(bundleVariable)
	client, ok := loaded.HTTPClient.(*awshttp.BuildableClient)
	if path == "" || !ok {
		return nil, nil //nolint:nilnil // as the comment says
	}
	if t := client.GetTransport().TLSClientConfig; t != nil && t.RootCAs != nil {
		return nil, nil //nolint:nilnil // as above
	}
	bundle, err := os.ReadFile(path) //nolint:gosec // the user names it
	if err != nil {
		return nil, &BundleError{Path: path, Err: err}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(bundle) {
		return nil, &BundleError{Path: path}
	}
	return pool, nil
}

// BundleError means that the file of authorities that REQUESTS_CA_BUNDLE names cannot be used.
type BundleError struct {
	Path string
	Err  error // nil when there is no certificate in it
}

func (e *BundleError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("%s: there is no certificate in %s", bundleVariable, e.Path)
	}
	return fmt.Sprintf("%s: %v", bundleVariable, e.Err)
}
func (e *BundleError) Unwrap() error { return e.Err }

// Remedy says what is expected.
func (e *BundleError) Remedy() string {
	return "point " + bundleVariable + " at a file of certificates (PEM), or unset it; AWS_CA_BUNDLE is preferred to it"
}
