package rpool

import "sync"

// Constants of L'Ecuyer's combined multiple recursive generator MRG32k3a: P.
// L'Ecuyer, "Good Parameters and Implementations for Combined Multiple Recursive
// Random Number Generators", Operations Research 47 (1999).
const (
	mrgM1   = 4294967087
	mrgM2   = 4294944443
	mrgA12  = 1403580
	mrgA13n = 810728
	mrgA21  = 527612
	mrgA23n = 1370589
)

// streamBits is the distance between two streams, as a power of two: what
// parallel::nextRNGStream() advances by (L'Ecuyer, Simard, Chen, Kelton, "An
// Object-Oriented Random-Number Package with Many Long Streams and Substreams",
// Operations Research 50, 2002).
const streamBits = 127

// subStreamBits is the distance between two sub-streams of a stream: what
// parallel::nextRNGSubStream() advances by.
const subStreamBits = 76

// SeedAt is stream n of a seed: the state that parallel::nextRNGStream() reaches
// when applied n times to that of set.seed(seed, kind = "L'Ecuyer-CMRG"). R takes
// seeds of 32 bits; of a larger one the halves are combined by exclusive or.
// Streams are 2^127 numbers long, so batches or tasks that use their sequence
// number as n never meet. It takes time proportional to log(n).
func SeedAt(seed int64, n uint64) Seed {
	return setSeed(foldSeed(seed)).jump(streamJump(), n)
}

// Sub is sub-stream n of the stream that s begins: the state that
// parallel::nextRNGSubStream() reaches when applied n times. Sub(0) is s.
func (s Seed) Sub(n uint64) Seed { return s.jump(subStreamJump(), n) }

// jump advances the state n times by a transition.
func (s Seed) jump(by [2]matrix, n uint64) Seed {
	for i := range 2 {
		m := power(by[i], n, mrgModulus[i])
		v := vector{uint64(uint32(s[3*i])), uint64(uint32(s[3*i+1])), uint64(uint32(s[3*i+2]))}
		v = apply(m, v, mrgModulus[i])
		for j, x := range v {
			s[3*i+j] = int32(uint32(x))
		}
	}
	return s
}

func foldSeed(seed int64) uint32 {
	if int64(int32(seed)) == seed {
		return uint32(seed)
	}
	return uint32(seed) ^ uint32(uint64(seed)>>32)
}

// setSeed is R's RNG_Init() for this generator: 50 rounds of a linear
// congruential generator scramble the seed, and each element of the state is the
// next of its numbers below m2 (R's src/main/RNG.c).
func setSeed(seed uint32) (s Seed) {
	next := func() uint32 {
		seed = 69069*seed + 1
		return seed
	}
	for range 50 {
		next()
	}
	for i := range s {
		x := next()
		for x >= mrgM2 {
			x = next()
		}
		s[i] = int32(x)
	}
	return s
}

type (
	matrix [3][3]uint64
	vector [3]uint64
)

var mrgModulus = [2]uint64{mrgM1, mrgM2}

// streamJump and subStreamJump are the two components' transitions over one
// whole stream and sub-stream.
var (
	streamJump    = sync.OnceValue(func() [2]matrix { return transition(streamBits) })
	subStreamJump = sync.OnceValue(func() [2]matrix { return transition(subStreamBits) })
)

// transition is the two components' step, taken 2^bits times.
func transition(bits int) [2]matrix {
	step := [2]matrix{
		{{0, 1, 0}, {0, 0, 1}, {mrgM1 - mrgA13n, mrgA12, 0}},
		{{0, 1, 0}, {0, 0, 1}, {mrgM2 - mrgA23n, 0, mrgA21}},
	}
	for i := range step {
		for range bits {
			step[i] = multiply(step[i], step[i], mrgModulus[i])
		}
	}
	return step
}

func power(m matrix, n, modulus uint64) matrix {
	p := matrix{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			p = multiply(p, m, modulus)
		}
		m = multiply(m, m, modulus)
	}
	return p
}

// multiply is a*b. A product of two elements fits 64 bits; a sum of them may not.
func multiply(a, b matrix, modulus uint64) (c matrix) {
	for i := range 3 {
		for j := range 3 {
			for k := range 3 {
				c[i][j] = (c[i][j] + a[i][k]*b[k][j]%modulus) % modulus
			}
		}
	}
	return c
}

func apply(a matrix, v vector, modulus uint64) (w vector) {
	for i := range 3 {
		for k := range 3 {
			w[i] = (w[i] + a[i][k]*v[k]%modulus) % modulus
		}
	}
	return w
}
