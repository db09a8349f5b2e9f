package keeper

import (
	"context"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/schedule"
)

// TestTimesThatCouldNotBeWrittenDownWereMissed: as the disk was full for minutes.
func TestTimesThatCouldNotBeWrittenDownWereMissed(t *testing.T) {
	k := newKit(t)
	r := k.idle(minutely(&work{}, func(t *schedule.Timing) { t.Overlap = "queue" }))
	cannot, cancel := context.WithCancel(t.Context())
	cancel()
	for range 13 {
		k.forward(15 * time.Second) // to 00:03:20
		if err := r.decide(cannot, "job"); err == nil && r.now().Minute() > 0 {
			t.Fatal("it could be written")
		}
	}
	if err := r.decide(t.Context(), "job"); err != nil {
		t.Fatal(err)
	}
	const want = "00:01 MISSED, 00:02 MISSED, 00:03 WAITING"
	if got := states(r.Keeper, "job"); got != want {
		t.Errorf("%s; want %s", got, want)
	}
}

// TestAClockThatIsSetBack: what was decided is not due again, and the next time that is
// told is the one that comes.
func TestAClockThatIsSetBack(t *testing.T) {
	k, w := newKit(t), &work{}
	s := k.server("a", minutely(w))
	k.forward(3 * time.Hour)
	k.forward(time.Minute)
	eventually(t, "a time far ahead has run", func() bool { return w.began() != "" })
	eventually(t, "it is decided", func() bool { at, _ := s.timerOf("job"); return at.Cursor.Hour() == 3 })
	k.forward(-2 * time.Hour)
	cursor, _ := s.timerOf("job")
	got, _ := s.Get("job")
	if next, err := s.Next("job", 1); err != nil || !got.Next.After(cursor.Cursor) || !next[0].Equal(got.Next) {
		t.Errorf("next is %s (%v, %v), and decided until %s", got.Next, next, err, cursor.Cursor)
	}
}
