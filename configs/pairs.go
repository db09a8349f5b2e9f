package configs

// Pairs is a mapping of keys to single values in the order of the file, for
// what order matters in: columns derived one after the other, types of columns.
type Pairs []Pair

// Pair is one key of [Pairs] with the text of its value.
type Pair struct {
	Name     string
	Value    string
	Quoted   bool     // the value was written in quotes: text, even where it looks like a number
	Position Position // of the value
}

// Object is a mapping in the order of the file, where a field of type any holds
// one.
type Object []Member

// Member is one key of an [Object]: nil, bool, int64, float64, string, []any or
// Object.
type Member struct {
	Key   string
	Value any
}

// Get returns the value of the pair of that name.
func (p Pairs) Get(name string) (string, bool) {
	for _, pair := range p {
		if pair.Name == name {
			return pair.Value, true
		}
	}
	return "", false
}
