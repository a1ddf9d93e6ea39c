// Integer codes in ap_int: what the generated code needs beyond the operators that ap_int and ap_fixed have.
#ifndef FX_OPS_H_
#define FX_OPS_H_

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

// floor(a / 2**S + 1/2) with ties to the odd neighbour, which ap_fixed does not have; S >= 1.
template <int W, int S, class A> ap_int<W> round_to_odd(const A &a) {
#pragma HLS INLINE
    ap_int<W> v = a;
    ap_int<W> one = 1;
    ap_int<W> low = ap_int<W>(v >> S) & one;
    ap_int<W> sum = v + ap_int<W>(one << (S - 1)) - low;
    return sum >> S;
}

// AP_WRAP_SM with N = 0: where q does not fit, the wrapped code takes the sign `above` and else its complement.
template <int W, class A> ap_int<W> wrap_sign_magnitude(const A &q, bool above) {
#pragma HLS INLINE
    ap_int<W> wrapped = q;
    if (wrapped == q)
        return wrapped;
    return bool(wrapped[W - 1]) == above ? wrapped : ap_int<W>(~wrapped);
}

// a * 2**n in T; n may exceed T's width where a is 0.
template <class T, int W, class A> T shift_left(const A &a, int n) {
#pragma HLS INLINE
    return n < W ? T(T(a) << n) : T(0);
}

// a / b toward zero in T, which holds a, b and the quotient; 0 where b is 0.
template <class T, class A, class B> T divide(const A &a, const B &b) {
#pragma HLS INLINE
    T dividend = a, divisor = b;
    if (divisor == 0)
        return 0;
    return T(dividend / divisor);
}

// Number of significant bits of a >= 0 of width W.
template <int W, class A> int leading_one(const A &a) {
#pragma HLS INLINE
    int n = 0;
    for (int i = 0; i < W; i++) {
#pragma HLS UNROLL
        if (a[i])
            n = i + 1;
    }
    return n;
}

} // namespace fx

#endif
