// Codes in ap_int: the bits of ap_fixed values, and casts as assignments between them.
#ifndef FX_INTEGERS_H_
#define FX_INTEGERS_H_

#include "ap_fixed.h"
#include "ap_int.h"

namespace fx {

// The integer type of a code: width and sign.
template <class T> struct code;
template <int W> struct code<ap_int<W>> {
    static const bool is_signed = true;
    template <int V> struct widened { typedef ap_int<V> type; };
    template <int V, int I> struct fixed { typedef ap_fixed<V, I> type; };
};
template <int W> struct code<ap_uint<W>> {
    static const bool is_signed = false;
    template <int V> struct widened { typedef ap_uint<V> type; };
    template <int V, int I> struct fixed { typedef ap_ufixed<V, I> type; };
};

// The code of a fixed-point type.
template <class D> struct raw_of;
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N> struct raw_of<ap_fixed<W, I, Q, O, N>> {
    static const int width = W;
    typedef ap_int<W> type;
};
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N> struct raw_of<ap_ufixed<W, I, Q, O, N>> {
    static const int width = W;
    typedef ap_uint<W> type;
};

// The bits of a fixed-point value as an integer code.
template <class D> typename raw_of<D>::type bits(const D &value) {
#pragma HLS INLINE
    const int W = raw_of<D>::width;
    typename raw_of<D>::type raw = 0;
    raw.range(W - 1, 0) = value.range(W - 1, 0);
    return raw;
}

// The value with these bits; the code is widened with its sign first.
template <class T, class D> void set_bits(D &value, const T &code) {
#pragma HLS INLINE
    const int W = raw_of<D>::width;
    typename raw_of<D>::type raw = code;
    value.range(W - 1, 0) = raw.range(W - 1, 0);
}

// Code `a` with F fraction bits as a fixed-point value of declared width W (at least a's own).
template <int W, int F, class A> typename code<A>::template fixed<W, W - F>::type fixed(const A &a) {
#pragma HLS INLINE
    typename code<A>::template widened<W>::type wide = a;
    typename code<A>::template fixed<W, W - F>::type value = 0;
    value.range(W - 1, 0) = wide.range(W - 1, 0);
    return value;
}

// The assignment D = a: ap_fixed rounds, then decides overflow. Lost: what D's own modes lose.
template <int W, int F, class D, class A> typename raw_of<D>::type cast(const A &a) {
#pragma HLS INLINE
    D value = fixed<W, F>(a);
    return bits(value);
}

// 32 bits of a code, for the host.
template <int W> void put_limb(ap_int<W> &x, int i, unsigned limb) { x.range(32 * i + 31, 32 * i) = ap_uint<32>(limb); }
template <int W> unsigned limb_of(const ap_int<W> &x, int i) { return ap_uint<32>(x.range(32 * i + 31, 32 * i)).to_uint(); }

} // namespace fx

#endif
