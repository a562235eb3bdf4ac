package aws

// TaskARN is the ARN of a target's task; empty for a target without one, and as long as the account is not known.
func (c *Client) TaskARN(t Target) string {
	if t.Task == "" || t.Cluster == "" || c.accountID() == "" {
		return ""
	}
	return c.arn("ecs", "task/"+t.Cluster+"/"+t.Task)
}
