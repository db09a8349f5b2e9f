package tokens

import (
	"errors"
	"io/fs"
	"maps"
	"time"
)

// saveEvery is how often the times of last use are written. They are there to
// find tokens that nobody needs, not for the minute.
const saveEvery = time.Minute

// errReadOnly says that this process may read the store and not change it, which
// is all right: then it does not note uses.
var errReadOnly = errors.New("tokens: the store is read-only")

// saveSoon writes the times of last use, now and then, without keeping a request
// waiting. s.mu is held.
func (s *Store) saveSoon(now time.Time) {
	if now.Sub(s.saved) < saveEvery {
		return
	}
	s.saved = now
	s.saving.Go(func() { s.saveUses() }) // another try follows in a minute
}

// saveUses writes the times of last use.
func (s *Store) saveUses() error {
	s.mu.Lock()
	used := maps.Clone(s.used)
	s.mu.Unlock()
	if len(used) == 0 {
		return nil
	}
	err := s.change(func(all []entry) ([]entry, error) {
		for i := range all {
			if at := used[all[i].ID]; at.After(all[i].LastUsed) {
				all[i].LastUsed = at
			}
		}
		return all, nil
	})
	if errors.Is(err, fs.ErrPermission) {
		return errReadOnly
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, at := range used {
		if s.used[id].Equal(at) {
			delete(s.used, id)
		}
	}
	return nil
}
