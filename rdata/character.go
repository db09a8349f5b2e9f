package rdata

// NewCharacter makes a character vector of strings, none of them missing.
func NewCharacter(s []string) *Character {
	c := &Character{}
	n := 0
	for _, x := range s {
		n += len(x)
	}
	if len(s) > 0 {
		c.Offsets = make([]int64, 1, len(s)+1)
		c.Data = make([]byte, 0, n)
	}
	for _, x := range s {
		c.Append(x)
	}
	return c
}

// Append adds an element.
func (c *Character) Append(s string) {
	if len(c.Offsets) == 0 {
		c.Offsets = append(c.Offsets, 0)
	}
	c.Data = append(c.Data, s...)
	c.Offsets = append(c.Offsets, int64(len(c.Data)))
}

// AppendNA adds a missing element.
func (c *Character) AppendNA() {
	c.Append("")
	c.setMissing(c.Len() - 1)
}

func (c *Character) setMissing(i int) {
	for len(c.Missing) <= i>>6 {
		c.Missing = append(c.Missing, 0)
	}
	c.Missing[i>>6] |= 1 << (uint(i) & 63)
}

// IsNA says whether element i is missing.
func (c *Character) IsNA(i int) bool {
	return i>>6 < len(c.Missing) && c.Missing[i>>6]>>(uint(i)&63)&1 != 0
}

// At is element i; ok is false where it is NA.
func (c *Character) At(i int) (s string, ok bool) {
	if c.IsNA(i) {
		return "", false
	}
	return string(c.Data[c.Offsets[i]:c.Offsets[i+1]]), true
}

// Strings are all elements, NA as "".
func (c *Character) Strings() []string {
	s := make([]string, c.Len())
	for i := range s {
		s[i], _ = c.At(i)
	}
	return s
}
