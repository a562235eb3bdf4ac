package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// signing is what a request is signed for.
type signing struct{ service, region string }

// answered is the status and header of an answer.
type answered struct {
	status int
	header http.Header
}

// exchange sends a request to a service for which no client of the SDK is used: it signs the request, sends it once, and reads
// the whole answer. operation is SERVICE:Operation, as policies name it.
func (c *Client) exchange(ctx context.Context, request *http.Request, body []byte, operation string, s signing) (text []byte, answer answered, err error) {
	credentials, err := c.credentials.Retrieve(ctx)
	if err != nil {
		return nil, answered{}, c.explainCredentials(ctx, err)
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, credentials, request, hex.EncodeToString(sum[:]), s.service, s.region, c.now()); err != nil {
		return nil, answered{}, fmt.Errorf("sign %s: %w", operation, err)
	}
	response, err := boundedClient{c.config.HTTPClient, c.bounds}.Do(request)
	if err != nil {
		return nil, answered{}, inTime(ctx, err, func(err error) error {
			if own, ok := explained(err, operation); ok {
				return own
			}
			return c.explainConnection(err, operation)
		})
	}
	defer response.Body.Close() //nolint:errcheck // the body was read into memory
	if text, err = io.ReadAll(response.Body); err != nil {
		return nil, answered{}, fmt.Errorf("%s: %w", operation, err)
	}
	return text, answered{response.StatusCode, response.Header}, nil
}
