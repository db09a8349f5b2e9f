package rdata

// Value is one R object. The concrete types are Null, *Logical, *Integer,
// *Double, *Complex, *Character, *Raw, *List, *Pairlist, *Symbol and *Opaque.
// A decoded value owns its memory: it shares nothing with the input bytes.
type Value interface {
	// Attributes returns the object's attributes in their order in R; nil for none.
	Attributes() Attributes
	// Len is R's length(): elements of a vector, cells of a pairlist, 0 for NULL.
	Len() int
}

// Attributes are the attributes of an object, in R's order.
type Attributes []Attribute

// Attribute is one named attribute.
type Attribute struct {
	Name  string
	Value Value
}

// Get returns the attribute called name, or nil.
func (a Attributes) Get(name string) Value {
	for i := range a {
		if a[i].Name == name {
			return a[i].Value
		}
	}
	return nil
}

// Null is R's NULL.
type Null struct{}

// Logical is a logical vector: 0, 1 or NAInteger.
type Logical struct {
	Values []int32
	Attrs  Attributes
}

// Integer is an integer vector (also factors, and dates kept as integers);
// NAInteger marks a missing value.
type Integer struct {
	Values []int32
	Attrs  Attributes
}

// Double is a numeric vector (also Date, POSIXct, difftime, and integer64,
// whose elements are the bits of int64 values). IsNA tells NA from NaN.
type Double struct {
	Values []float64
	Attrs  Attributes
}

// Complex is a complex vector.
type Complex struct {
	Values []complex128
	Attrs  Attributes
}

// Character is a character vector in columnar form: element i is
// Data[Offsets[i]:Offsets[i+1]], in UTF-8, and is NA where Missing has bit i
// set. Missing is nil when nothing is.
type Character struct {
	Offsets []int64 // len = Len()+1, or empty for a vector of length 0
	Data    []byte
	Missing []uint64
	Attrs   Attributes
}

// Raw is a raw vector.
type Raw struct {
	Values []byte
	Attrs  Attributes
}

// List is a generic vector (VECSXP), a data.frame for example, or an
// expression vector where Expression is set.
type List struct {
	Values     []Value
	Expression bool
	Attrs      Attributes
}

// Pairlist is a pairlist; Tag is "" for an untagged cell.
type Pairlist struct {
	Cells []Cell
	Attrs Attributes
}

// Cell is one element of a Pairlist.
type Cell struct {
	Tag   string
	Value Value
}

// Symbol is a name.
type Symbol struct{ Name string }

// Opaque is an object this package does not look into, such as a closure, a
// call, an environment or an external pointer. It round-trips: Item is its own
// serialization, version 2 or 3, little-endian, without a stream header and
// with a reference table that starts empty. Attrs repeats those of its
// attributes that are atomic vectors, such as class, for whoever wants to know
// what it is; writing looks at Item alone.
type Opaque struct {
	Kind  Kind
	Item  []byte
	Attrs Attributes
}

// Attributes of NULL are none.
func (Null) Attributes() Attributes { return nil }

// Len of NULL is 0.
func (Null) Len() int { return 0 }

// Attributes implements Value.
func (v *Logical) Attributes() Attributes { return v.Attrs }

// Len implements Value.
func (v *Logical) Len() int { return len(v.Values) }

// Attributes implements Value.
func (v *Integer) Attributes() Attributes { return v.Attrs }

// Len implements Value.
func (v *Integer) Len() int { return len(v.Values) }

// Attributes implements Value.
func (v *Double) Attributes() Attributes { return v.Attrs }

// Len implements Value.
func (v *Double) Len() int { return len(v.Values) }

// Attributes implements Value.
func (v *Complex) Attributes() Attributes { return v.Attrs }

// Len implements Value.
func (v *Complex) Len() int { return len(v.Values) }

// Attributes implements Value.
func (v *Character) Attributes() Attributes { return v.Attrs }

// Len implements Value.
func (v *Character) Len() int { return max(len(v.Offsets)-1, 0) }

// Attributes implements Value.
func (v *Raw) Attributes() Attributes { return v.Attrs }

// Len implements Value.
func (v *Raw) Len() int { return len(v.Values) }

// Attributes implements Value.
func (v *List) Attributes() Attributes { return v.Attrs }

// Len implements Value.
func (v *List) Len() int { return len(v.Values) }

// Attributes implements Value.
func (v *Pairlist) Attributes() Attributes { return v.Attrs }

// Len implements Value.
func (v *Pairlist) Len() int { return len(v.Cells) }

// Attributes of a symbol are none.
func (v *Symbol) Attributes() Attributes { return nil }

// Len of a symbol is 1.
func (v *Symbol) Len() int { return 1 }

// Attributes implements Value.
func (v *Opaque) Attributes() Attributes { return v.Attrs }

// Len of an opaque object is 1, whatever R says of it.
func (v *Opaque) Len() int { return 1 }
