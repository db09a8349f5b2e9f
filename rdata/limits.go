package rdata

// Limits bound what reading may take. A zero field means its default, and a
// nil *Limits all defaults.
type Limits struct {
	// MaxBytes is how long a stream may be, after decompression; default 4 GiB.
	MaxBytes int64
	// MaxDepth is how deep lists, attributes and calls may nest; default 10,000.
	// R itself gives up at about 5,000.
	MaxDepth int
	// MaxLength is how many elements one vector may have; default 2^52, R's own limit.
	MaxLength int64
	// MaxExpand bounds, over one stream, the bytes that are made without having
	// been sent: elements of compact sequences such as 1:n, and environments
	// that several Opaques refer to, of which each gets a copy; default 256 MiB.
	MaxExpand int64
}

const (
	defaultMaxBytes  = 4 << 30
	defaultMaxDepth  = 10_000
	defaultMaxLength = 1 << 52
	defaultMaxExpand = 256 << 20
)

func (l *Limits) orDefaults() Limits {
	var r Limits
	if l != nil {
		r = *l
	}
	if r.MaxBytes <= 0 {
		r.MaxBytes = defaultMaxBytes
	}
	if r.MaxDepth <= 0 {
		r.MaxDepth = defaultMaxDepth
	}
	if r.MaxLength <= 0 {
		r.MaxLength = defaultMaxLength
	}
	if r.MaxExpand <= 0 {
		r.MaxExpand = defaultMaxExpand
	}
	return r
}
