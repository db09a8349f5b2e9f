package sinks

// Appending is a sink that adds to what is there, whatever if_exists says. One
// file takes nothing more: it must not be there yet.
func Appending(s Sink) Sink {
	add := func(f Files, single bool) Files {
		f.IfExists, f.adds = existsAppend, true
		if single {
			f.IfExists = existsError
		}
		return f
	}
	switch s := s.(type) {
	case *Parquet:
		c := *s
		c.Files = add(s.Files, s.OneEpoch())
		return &c
	case *CSV:
		c := *s
		c.Files = add(s.Files, s.OneEpoch())
		return &c
	case *NDJSON:
		c := *s
		c.Files = add(s.Files, s.OneEpoch())
		return &c
	case *RDS:
		c := *s
		c.Files = add(s.Files, s.OneEpoch())
		return &c
	}
	return s
}
