// Codes in ac_int, under the names of ap_int that generated code uses, with every cast as integer arithmetic.
#ifndef FX_INTEGERS_H_
#define FX_INTEGERS_H_

#include "ac_fixed.h"
#include "ac_int.h"

template <int W> using ap_int = ac_int<W, true>;
template <int W> using ap_uint = ac_int<W, false>;

enum ap_q_mode { AP_RND, AP_RND_ZERO, AP_RND_MIN_INF, AP_RND_INF, AP_RND_CONV, AP_TRN, AP_TRN_ZERO };
enum ap_o_mode { AP_SAT, AP_SAT_ZERO, AP_SAT_SYM, AP_WRAP, AP_WRAP_SM };

namespace fx {

// A target of casts: ac_fixed lacks the wrap modes with N and WRAP_SM, so that none of its own take part.
template <int W, int I, bool S, ap_q_mode Q, ap_o_mode O, int N> struct format {};

// The code of a fixed-point type.
template <class D> struct raw_of;
template <int W, int I, bool S, ac_q_mode Q, ac_o_mode O> struct raw_of<ac_fixed<W, I, S, Q, O>> {
    static const int width = W;
    typedef ac_int<W, S> type;
};
template <int W, int I, bool S, ap_q_mode Q, ap_o_mode O, int N> struct raw_of<format<W, I, S, Q, O, N>> {
    static const int width = W;
    typedef ac_int<W, S> type;
};

// The bits of a fixed-point value as an integer code.
template <class D> typename raw_of<D>::type bits(const D &value) {
    typename raw_of<D>::type raw = 0;
    raw.set_slc(0, value.template slc<raw_of<D>::width>(0));
    return raw;
}

// The value with these bits; the code is widened with its sign first.
template <class T, class D> void set_bits(D &value, const T &code) {
    typename raw_of<D>::type raw = code;
    value.set_slc(0, raw.template slc<raw_of<D>::width>(0));
}

// a / 2**S rounded by Q, in W bits that hold |a| + 2**S; S >= 1.
template <int W, int S, ap_q_mode Q, class A> ac_int<W, true> rounded(const A &a) {
    ac_int<W, true> v = a, one = 1;
    ac_int<W, true> half = one << (S - 1), unit = one << S;
    ac_int<W, true> added = 0;
    bool negative = v < 0, odd = v[S];
    if (Q == AP_TRN_ZERO)
        added = negative ? ac_int<W, true>(unit - one) : ac_int<W, true>(0);
    else if (Q != AP_TRN) {
        bool down = Q == AP_RND_MIN_INF || (Q == AP_RND_ZERO && !negative) || (Q == AP_RND_INF && negative) ||
                    (Q == AP_RND_CONV && !odd);
        added = down ? ac_int<W, true>(half - one) : half;
    }
    ac_int<W, true> sum = v + added;
    return sum >> S;
}

// The code whose N top bits are saturated: ones where unsigned, else the sign and its complement below it.
template <int W, bool S, int N> ac_int<W, S> wrapped_below(const ac_int<W, S> &fitted, bool negative) {
    ac_int<W, false> code = fitted, ones = -1, sign = 0;
    ac_int<W, false> top = ones << (W - N);
    if (S)
        sign[W - 1] = 1;
    ac_int<W, false> rest = code & ~top;
    ac_int<W, false> out = S ? (negative ? ac_int<W, false>(rest | sign) : ac_int<W, false>(rest | (top & ~sign)))
                             : ac_int<W, false>(code | top);
    return ac_int<W, S>(out);
}

// Code `a`, of declared width V with F fraction bits, cast to a format: rounded, then overflow decided.
template <int V, int F, class A, int W, int I, bool S, ap_q_mode Q, ap_o_mode O, int N>
ac_int<W, S> cast_to(const A &a, format<W, I, S, Q, O, N>) {
    const int shift = F - (W - I);
    // Dropping more than one bit beyond a's own width changes nothing more.
    const int drop = shift > A::width + 1 ? A::width + 1 : shift > 0 ? shift : 1;
    const int up = shift < 0 ? -shift : 0;
    const int wide = A::width + 3 + up;
    ac_int<wide, true> v = a;
    ac_int<wide, true> q = shift > 0 ? ac_int<wide, true>(rounded<A::width + 3, drop, Q>(a)) : ac_int<wide, true>(v << up);
    ac_int<W, S> fitted = q;
    bool negative = q < 0;
    ac_int<W, S> least = 0, most = -1;
    if (S) {
        least[W - 1] = 1;
        most = ~least;
    }
    if (O == AP_SAT_SYM && S && W > 1) {
        ac_int<W, S> one = 1;
        least = least | one;
    }
    if (O == AP_SAT_SYM && fitted == q)
        return fitted < least ? least : fitted;
    if (fitted == q || (O == AP_WRAP && N == 0))
        return fitted;
    if (O == AP_SAT || O == AP_SAT_SYM)
        return negative ? least : most;
    if (O == AP_SAT_ZERO)
        return 0;
    const int some = N > 0 ? (N < W ? N : W) : 1;
    if (O == AP_WRAP_SM) {
        const int above = shift + W;
        const int place = above < 0 ? 0 : above < A::width ? above : A::width - 1;
        const int below = W - some > 0 ? W - some : 0;
        bool bit = above >= 0 && above < V && (above < A::width ? bool(a[place]) : a < 0);
        bool flip = N == 0 ? bit != bool(fitted[W - 1])
                           : N == 1 ? bool(fitted[W - 1]) != negative : bool(fitted[below]) == negative;
        if (flip)
            fitted = ~fitted;
        if (N == 0)
            return fitted;
    }
    return wrapped_below<W, S, some>(fitted, negative);
}

template <int V, int F, class D, class A> typename raw_of<D>::type cast(const A &a) {
    return cast_to<V, F>(a, D());
}

// 32 bits of a code, for the host.
template <int W> void put_limb(ac_int<W, true> &x, int i, unsigned limb) { x.set_slc(32 * i, ac_int<32, false>(limb)); }
template <int W> unsigned limb_of(const ac_int<W, true> &x, int i) {
    return x.template slc<32>(32 * i).to_uint();
}

} // namespace fx

template <int W, int I, ap_q_mode Q = AP_TRN, ap_o_mode O = AP_WRAP, int N = 0>
using ap_fixed = fx::format<W, I, true, Q, O, N>;
template <int W, int I, ap_q_mode Q = AP_TRN, ap_o_mode O = AP_WRAP, int N = 0>
using ap_ufixed = fx::format<W, I, false, Q, O, N>;

#endif
