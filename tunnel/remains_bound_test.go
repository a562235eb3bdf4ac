package tunnel

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"culvert/aws"
)

func TestSessionsThatCouldNotBeTerminatedAreBounded(t *testing.T) {
	client, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: "http://127.0.0.1:1", Keys: aws.Keys{ID: "AKIAIOSFODNN7EXAMPLE", Secret: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	r := remains{log: slog.New(slog.DiscardHandler), closed: true}
	for i := range 3 * mostRemains {
		r.leave(client, fmt.Sprint(i), errors.New("no answer"))
	}
	if all := r.list(); len(all) != mostRemains || all[0].Session != fmt.Sprint(2*mostRemains) {
		t.Errorf("%d are kept, the first is %s; want the last %d", len(all), all[0].Session, mostRemains)
	}
}
