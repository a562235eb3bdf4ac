package aws

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"culvert/internal/say"
)

// The SDK's clients of IAM and EC2 have a thousand operations. The few read-only ones that are needed here are called by AWS's
// query protocol (IAM and EC2 API References, "Making Query Requests").

func iamAPI() bareAPI { return bareAPI{name: "iam", version: "2010-05-08"} }
func ec2API() bareAPI { return bareAPI{name: "ec2", version: "2016-11-15"} }

// endpoint is the service's URL and the region that its requests are signed for.
func (c *Client) endpoint(ctx context.Context, q bareAPI) (address, region string) {
	region = c.region
	if own := c.moved(ctx, orWord(q.id, q.name)); own != "" {
		return own, region
	}
	if q.name != "iam" {
		return "https://" + serviceHost(q.name, region), region //nolint:contextcheck // it makes no request
	}
	host, region := iamOf(c.partition(), region) //nolint:contextcheck // it makes no request
	return "https://" + host, region
}

// iamOf is the host of IAM, of which a partition has only one, and the region for which its requests are signed. In the oldest
// partitions the host has a name of its own, in the others it follows the rule (the SDK's partitions.json,
// implicitGlobalRegion).
func iamOf(partition, region string) (host, signedFor string) {
	switch partition {
	case "aws":
		return "iam.amazonaws.com", "us-east-1"
	case "aws-cn":
		return "iam.cn-north-1.amazonaws.com.cn", "cn-north-1"
	case "aws-us-gov":
		return "iam.us-gov.amazonaws.com", "us-gov-west-1"
	case "aws-iso":
		region = "us-iso-east-1"
	case "aws-iso-b":
		region = "us-isob-east-1"
	case "aws-iso-f":
		region = "us-isof-south-1"
	}
	return serviceHost("iam", region), region // the other partitions have only one region
}

// query calls an action of the query protocol and decodes its answer. It tries once.
func (c *Client) query(ctx context.Context, q bareAPI, action string, form url.Values, into any) error {
	address, region := c.endpoint(ctx, q)
	form.Set("Action", action)
	form.Set("Version", q.version)
	body := []byte(form.Encode())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(address, "/")+"/", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s:%s: %w", q.name, action, err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	text, answer, err := c.exchange(ctx, request, body, q.operation(action), signing{orWord(q.signs, q.name), region})
	if err != nil {
		return err
	}
	if answer.status != http.StatusOK {
		return c.queryRefused(q.operation(action), answer.status, text)
	}
	if err := xml.Unmarshal(text, into); err != nil {
		return &AnswerError{Operation: q.operation(action), Status: answer.status, Problem: say.Brief(err.Error()), Err: err}
	}
	return nil
}

// queryRefused explains a refusal. IAM has the error at the top of its answer, EC2 has it below Errors.
func (c *Client) queryRefused(operation string, status int, text []byte) error {
	var said struct {
		Code    string `xml:"Error>Code"`
		Message string `xml:"Error>Message"`
		Codes   string `xml:"Errors>Error>Code"`
		Words   string `xml:"Errors>Error>Message"`
	}
	if err := xml.Unmarshal(text, &said); err != nil {
		return &AnswerError{Operation: operation, Status: status, Problem: "no AWS error code in it"}
	}
	return c.refused(operation, said.Code+said.Codes, said.Message+said.Words, status)
}
