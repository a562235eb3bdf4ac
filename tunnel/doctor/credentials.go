package doctor

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"culvert/aws"
)

// regionCheck connects to AWS, and judges only errors about the configuration; others it leaves to credentialsCheck.
func (x *examination) regionCheck() Check {
	return Check{
		ID: checkRegion, Name: "the AWS configuration names a region",
		Causes: []Cause{
			{"A1", "no region, profile or endpoint: neither flag, environment nor profile names a usable one", "pass `--region` or set AWS_REGION; correct the profile"},
		},
		Run: func(ctx context.Context) Finding {
			var err error
			x.client, err = x.Connect(ctx)
			if err == nil {
				return pass(x.client.Region(), "profile "+x.client.Profile())
			}
			if isConfiguration(err) {
				return fail(err)
			}
			x.refused = err
			return pass()
		},
	}
}

// isConfiguration reports whether an error is about the configuration of AWS, and not about credentials.
func isConfiguration(err error) bool {
	return is[*aws.NoRegionError](err) || is[*aws.RegionError](err) || is[*aws.NoProfileError](err) || is[*aws.ConfigError](err) ||
		is[*aws.EndpointError](err) || is[*aws.RoleARNError](err) || is[*aws.ProxyURLError](err) || is[*aws.BundleError](err)
}

// is reports whether err is or wraps an error of a type.
func is[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

func (x *examination) credentialsCheck() Check {
	return Check{
		ID: checkCredentials, Name: "there are credentials", After: []string{checkRegion},
		Causes: []Cause{
			{"A2", "`no AWS credentials found`: environment, profile, SSO and web identity have none", "pass `--profile`, run `aws sso login`, or in GitHub Actions `--role-arn` with `permissions: id-token: write`"},
			{"A5", "a GitHub job that should assume a role has no OIDC token to ask for", "add `permissions: id-token: write` to the job"},
			{"A6", "`Not authorized to perform sts:AssumeRoleWithWebIdentity`: the trust policy does not match the token's `sub`", "correct the trust policy's condition to the subject that is shown (immutable form: `repo:owner@ID/name@ID:…`)"},
			{"A7", "`No OpenIDConnect provider found` or `Incorrect token audience`", "create the provider with audience sts.amazonaws.com: `aws iam create-open-id-connect-provider …`"},
		},
		Run: func(ctx context.Context) Finding {
			if x.refused != nil {
				return fail(x.refused)
			}
			end, err := x.client.Expires(ctx)
			switch {
			case err != nil:
				return fail(err)
			case end.IsZero():
				return pass("they do not expire")
			}
			return pass("valid until " + end.UTC().Format(time.RFC3339))
		},
	}
}

func (x *examination) identityCheck() Check {
	return Check{
		ID: checkIdentity, Name: "AWS accepts the credentials", After: []string{checkCredentials},
		Causes: []Cause{
			{"A3", "ExpiredToken, UnrecognizedClientException, InvalidClientTokenId, or an SSO session that is over", "run `aws sso login --profile …`, or renew the keys"},
		},
		Run: func(ctx context.Context) Finding {
			id, err := x.client.Identity(ctx)
			switch {
			case err == nil:
				x.identity = id
				return pass(id.ARN, "account "+id.Account)
			case is[*aws.ExpiredError](err), is[*aws.RejectedKeyError](err), is[*aws.ClockError](err):
				return fail(err)
			}
			return blind(err) // ECS and SSM have endpoints of their own
		},
	}
}

// clockDrift is how far this machine's clock may be off without a warning. AWS refuses signatures that are five minutes off.
const clockDrift = 2 * time.Minute

func (x *examination) clockCheck() Check {
	return Check{
		ID: checkClock, Name: "this machine's clock is right", After: []string{checkIdentity},
		Causes: []Cause{
			{"A4", "`Signature expired`, `Signature not yet current`, RequestTimeTooSkewed; AWS's Date is minutes from the local clock", "set the clock: `timedatectl set-ntp true`"},
		},
		Run: func(context.Context) Finding {
			ahead := x.client.Skew()
			if ahead.Abs() < clockDrift {
				return pass("within two minutes of AWS's")
			}
			e := &aws.ClockError{Ahead: ahead}
			return Finding{Verdict: Warn, Err: e, Evidence: []string{fmt.Sprintf("AWS's clock is %s ahead; culvert allows for it", ahead.Round(time.Second))}}
		},
	}
}

func (x *examination) listenCheck() Check {
	return Check{
		ID: checkListen, Name: "the local port is free",
		Causes: []Cause{
			{"A10", "the local port is in use, or below 1024 and reserved for root", "stop the process that is named, or pass `--local-port 0`"},
		},
		Run: func(context.Context) Finding {
			if x.Spec.Local.Port() == 0 && x.Spec.Socket == "" {
				return skip("no local port was asked for: any free one does")
			}
			if err := x.Spec.Listenable(); err != nil { //nolint:contextcheck // it is over at once
				return fail(err)
			}
			switch {
			case x.Spec.Socket != "":
				return pass(x.Spec.Socket)
			case !x.Spec.Local.Addr().IsValid():
				return pass("port " + strconv.Itoa(int(x.Spec.Local.Port())))
			}
			return pass(x.Spec.Local.String())
		},
	}
}
