package aws

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go/logging"

	"culvert/internal/say"
)

// plainBodies hides the WriteTo of smithy-go's request bodies (1.28.8). The SDK closes a body as soon as it has the header of
// the answer. When a near server answers before net/http has looked for the end of the body, that WriteTo returns io.EOF, and
// net/http closes the connection while the answer is being read. The SDK then tries again, and a StartSession that is tried
// again leaves a session behind.
type plainBodies struct{ *awshttp.BuildableClient }

// Do sends a request as an HTTP client does.
func (p plainBodies) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r = r.Clone(r.Context())
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return p.BuildableClient.Do(r)
}

// sdkLog logs what the SDK would otherwise write to stderr.
func sdkLog(log *slog.Logger) logging.Logger {
	return logging.LoggerFunc(func(kind logging.Classification, format string, args ...any) {
		log.Debug("aws sdk", "kind", string(kind), "says", say.Brief(fmt.Sprintf(format, args...)))
	})
}
