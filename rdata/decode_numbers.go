package rdata

import "unsafe"

// payload copies n elements of size bytes to dst, whose memory is n elements of
// a Go type of that size, made of words of wordSize bytes.
func (d *decoder) payload(dst unsafe.Pointer, bytes, wordSize int) error {
	src, err := d.take(bytes, "a vector")
	if err != nil {
		return err
	}
	b := unsafe.Slice((*byte)(dst), bytes)
	copy(b, src)
	switch {
	case d.big != hostLittle:
	case wordSize == 4:
		swap4(b)
	default:
		swap8(b)
	}
	return nil
}

func (d *decoder) int32s() ([]int32, error) {
	n, err := d.length(4)
	if err != nil || n == 0 {
		return nil, err
	}
	v := make([]int32, n)
	return v, d.payload(unsafe.Pointer(&v[0]), 4*n, 4)
}

func (d *decoder) float64s() ([]float64, error) {
	n, err := d.length(8)
	if err != nil || n == 0 {
		return nil, err
	}
	v := make([]float64, n)
	return v, d.payload(unsafe.Pointer(&v[0]), 8*n, 8)
}

func (d *decoder) complex128s() ([]complex128, error) {
	n, err := d.length(16)
	if err != nil || n == 0 {
		return nil, err
	}
	v := make([]complex128, n)
	return v, d.payload(unsafe.Pointer(&v[0]), 16*n, 8)
}

func (d *decoder) raw() ([]byte, error) {
	n, err := d.length(1)
	if err != nil || n == 0 {
		return nil, err
	}
	src, err := d.take(n, "a vector")
	if err != nil {
		return nil, err
	}
	v := make([]byte, n)
	copy(v, src)
	return v, nil
}
