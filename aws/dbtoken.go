package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"culvert/internal/pattern"
)

// databaseTokenLife is how long a token can be used to open connections; open connections outlast it. RDS accepts no longer
// time.
const databaseTokenLife = 15 * time.Minute

// DatabaseToken is the password that RDS and Aurora take for a user who has been granted rds_iam (PostgreSQL) or was created
// with AWSAuthenticationPlugin (MySQL). It is a presigned request that nobody sends, without its scheme (RDS User Guide, "IAM
// database authentication"). host is the endpoint's own name, as RDS compares it with its own. AWS is not asked: whether the
// user has rds-db:connect is decided when the token is used.
func (c *Client) DatabaseToken(ctx context.Context, host string, port uint16, user string) (string, error) {
	credentials, err := c.credentials.Retrieve(ctx)
	if err != nil {
		return "", fmt.Errorf("sign in to the database: %w", c.explainCredentials(ctx, err))
	}
	query := url.Values{"Action": {"connect"}, "DBUser": {user}, "X-Amz-Expires": {strconv.Itoa(int(databaseTokenLife.Seconds()))}}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	at := url.URL{Scheme: "https", Host: net.JoinHostPort(host, strconv.Itoa(int(port))), Path: "/", RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return "", fmt.Errorf("sign in to the database: %w", err)
	}
	region := c.region
	if match := rdsRegion().FindStringSubmatch(host); match != nil {
		region = match[1]
	}
	nothing := sha256.Sum256(nil)
	signed, _, err := v4.NewSigner().PresignHTTP(ctx, credentials, request, hex.EncodeToString(nothing[:]), "rds-db", region, c.now())
	if err != nil {
		return "", fmt.Errorf("sign in to the database: %w", err)
	}
	return strings.TrimPrefix(signed, "https://"), nil
}

// rdsRegion finds the region in the name of an endpoint, which may be another one than the client's.
var rdsRegion = pattern.Of(`\.([a-z]{2}(?:-[a-z]+)+-\d)\.rds\.amazonaws\.com(?:\.cn)?$`) //nolint:gochecknoglobals // compiled when it is needed
