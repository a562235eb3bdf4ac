package aws

import (
	"context"
	"time"
)

// Expires is when the credentials end: zero for those that do not. Ones that renew themselves tell the end of the present
// ones.
func (c *Client) Expires(ctx context.Context) (time.Time, error) {
	found, err := c.credentials.Retrieve(ctx)
	if err != nil {
		return time.Time{}, c.explainCredentials(ctx, err)
	}
	if !found.CanExpire {
		return time.Time{}, nil
	}
	return found.Expires.Add(expiryWindow), nil // the cache ends them earlier
}
