package tunnel

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"culvert/aws"
)

func peersNamed(names ...string) (all []aws.Target) {
	for _, name := range names {
		all = append(all, aws.Target{Cluster: "c", Service: "s", Task: name, Container: "app", RuntimeID: name + "-1"})
	}
	return all
}

// seated takes a seat in a goroutine of its own and tells what came of it.
func seated(ctx context.Context, s *seats, peers []aws.Target, needed bool) <-chan *seat {
	got := make(chan *seat, 1)
	go func() {
		_, seat, _ := s.take(ctx, peers, nil, needed)
		got <- seat
	}()
	synctest.Wait()
	return got
}

func TestStartsToOneTaskGoOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSeats(48, func(int, []string) {})
		a, b := seated(t.Context(), s, peersNamed("a", "b"), true), seated(t.Context(), s, peersNamed("a", "b"), true)
		first, second := <-a, <-b // each task begins one at once
		if first.task == second.task {
			t.Fatalf("both are on task %s", first.task)
		}
		third := seated(t.Context(), s, peersNamed(first.task), true)
		if len(third) > 0 {
			t.Fatal("two sessions begin on a task at the same time")
		}
		first.began()
		synctest.Wait()
		(<-third).leave(true)
		first.leave(true)
		second.leave(true)
		if len(s.on) > 0 || len(s.turns) > 0 || s.taken != 0 {
			t.Errorf("left over: %v, %v, %d", s.on, s.turns, s.taken)
		}
	})
}

// A start of which nothing comes holds the next one up no longer than turnFor; one that has failed, for failedRest.
func TestAStartThatHangsOrFailsHoldsTheNextOneUpForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSeats(48, func(int, []string) {})
		began := time.Now()
		hanging := <-seated(t.Context(), s, peersNamed("a"), true)
		next := <-seated(t.Context(), s, peersNamed("a"), true)
		if took := time.Since(began); took != turnFor {
			t.Errorf("the next one waited %s", took)
		}
		hanging.leave(false)
		began = time.Now()
		next.leave(false)
		last := <-seated(t.Context(), s, peersNamed("a"), true)
		if took := time.Since(began); took != failedRest {
			t.Errorf("after one that failed the next one waited %s", took)
		}
		last.leave(true)
	})
}

func TestSeatsAreGivenInTheOrderTheyAreAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSeats(1, func(int, []string) {})
		holder := <-seated(t.Context(), s, peersNamed("a"), true)
		holder.began()
		first := seated(t.Context(), s, peersNamed("a"), true)
		ctx, cancel := context.WithCancel(t.Context())
		second := seated(ctx, s, peersNamed("a"), true)
		third := seated(t.Context(), s, peersNamed("a"), true)
		if extra := <-seated(t.Context(), s, peersNamed("a"), false); extra != nil {
			t.Error("a session that is not needed has overtaken others")
		}
		holder.leave(true)
		synctest.Wait()
		one := <-first
		one.began()
		if len(second) > 0 || len(third) > 0 {
			t.Fatal("more sessions than there may be")
		}
		cancel()
		synctest.Wait()
		if seat := <-second; seat != nil {
			t.Error("who has given up got a seat")
		}
		one.leave(true)
		synctest.Wait()
		(<-third).leave(true)
	})
}

// Room is asked for by as many as wait beyond what is free, on the tasks where it is missing.
func TestRoomIsMadeWhereItIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked int
		var where []string
		s := newSeats(3, func(n int, tasks []string) { asked, where = n, tasks })
		s.each = 1
		a := <-seated(t.Context(), s, peersNamed("a", "b"), true)
		a.began()
		b := <-seated(t.Context(), s, peersNamed("a", "b"), true)
		b.began()
		if asked != 0 {
			t.Errorf("room for %d was asked for while there was some", asked)
		}
		ctx, cancel := context.WithCancel(t.Context())
		waits := seated(ctx, s, peersNamed("a", "b"), true)
		if asked != 1 || !slices.Equal(where, []string{"a", "b"}) {
			t.Errorf("asked for %d on %v", asked, where)
		}
		cancel()
		<-waits
		c := <-seated(t.Context(), s, peersNamed("c"), true)
		c.began()
		ctx, cancel = context.WithCancel(t.Context())
		waits = seated(ctx, s, peersNamed("d"), true)
		if asked != 1 || len(where) != 0 {
			t.Errorf("asked for %d on %v, want any", asked, where)
		}
		cancel()
		<-waits
		for _, seat := range []*seat{a, b, c} {
			seat.leave(true)
		}
	})
}

func TestASessionBesideOthersIsNotWaitedFor(t *testing.T) {
	s := newSeats(1, func(int, []string) { t.Error("room was asked for") })
	_, seat, err := s.take(t.Context(), peersNamed("a"), nil, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.take(t.Context(), peersNamed("a"), nil, false); !errors.Is(err, errNoSeat) {
		t.Errorf("got %v", err)
	}
	seat.leave(true)
}
