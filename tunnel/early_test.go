package tunnel

import (
	"context"
	"testing"

	"culvert/aws"
)

// A websocket that was being opened to where the session no longer is does not stay open.
func TestASocketToTheOldPlaceIsGivenUp(t *testing.T) {
	client, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: "http://127.0.0.1:1", Keys: aws.Keys{ID: "AKIDEXAMPLE", Secret: "example"}})
	if err != nil {
		t.Fatal(err)
	}
	over, stop := context.WithCancel(t.Context())
	stop() // nothing is dialled
	stopped := false
	e := &early{url: "ws://127.0.0.1:1/old", done: make(chan struct{}), stop: func() { stopped = true }, err: context.Canceled}
	close(e.done)
	if _, err := e.dial(over, client, aws.Session{ID: "s", StreamURL: "ws://127.0.0.1:1/new", Token: "t"}, "c"); err == nil {
		t.Error("a socket was opened")
	}
	if !stopped {
		t.Error("the socket to the old place goes on being opened")
	}
}
