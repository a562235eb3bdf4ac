package aws

import "time"

// Skew is how far AWS's clock is ahead of ours, as far as answers have told it; 0 while it is within a minute. Signatures
// are corrected by it.
func (c *Client) Skew() time.Duration { return time.Duration(c.skew.Load()) }
