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

// The SDK's clients of IAM and EC2 have a thousand operations; the five read-only ones that the doctor's hints need are
// called here by AWS's query protocol (IAM and EC2 API References, "Making Query Requests").

func iamAPI() bareAPI { return bareAPI{name: "iam", version: "2010-05-08"} }
func ec2API() bareAPI { return bareAPI{name: "ec2", version: "2016-11-15"} }

// endpoint is the service's URL and the region that its requests are signed for.
func (c *Client) endpoint(ctx context.Context, q bareAPI) (address, region string) {
	region = c.region
	if own := c.moved(ctx, orWord(q.id, q.name)); own != "" {
		return own, region
	}
	if q.name != "iam" {
		return "https://" + serviceHost(q.name, region), region //nolint:contextcheck // it asks nobody
	}
	host, region := iamOf(c.partition(), region) //nolint:contextcheck // it asks nobody
	return "https://" + host, region
}

// iamOf is where IAM is, which is one for all regions of a partition, and the region that its requests are signed for. In the
// oldest partitions its name is its own, in the others it follows the rule (the SDK's partitions.json, implicitGlobalRegion).
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
	return serviceHost("iam", region), region // of the other partitions this is the only region
}

// query calls an action and decodes its answer. It tries once: what it finds is only a hint.
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

// queryRefused explains a refusal: IAM has the error at the top, EC2 below Errors.
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
