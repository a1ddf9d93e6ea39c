"""Small wrong changes to rules, each with the tests that must notice it."""

from __future__ import annotations

from dataclasses import dataclass

CASTING = ("tests/arithmetic/test_casting.py",)
TYPES = ("tests/agreement/test_types.py",)
SMT = ("tests/agreement/test_smt.py",)
LOAD = ("tests/load/test_load_certificates.py",)
LOWER = ("tests/rtl/test_lower.py",)
CODES = ("tests/rtl/test_lower_codes.py",)
CORE = ("tests/rtl/test_core.py",)
HLS = ("tests/hls/test_ops.py",)
MACHINE = ("tests/rtl/test_machine_core.py",)
LMUL = ("tests/systems/test_lmul_floats.py",)
UNIT = ("tests/iterate/test_unit.py",)
SINGLE = ("tests/iterate/test_single.py",)
THEOREMS = ("tests/iterate/test_certify.py",)
RING = ("tests/iterate/test_rtl_ring.py",)
PLANNED = ("tests/emulate/test_planned.py",)
TFLITE = (
    "tests/load_tflite/test_tflite_certificates.py",
    "tests/load_tflite/test_tflite_elementwise.py",
    "tests/load_tflite/test_tflite_pools_and_wiring.py",
    "tests/load_tflite/test_tflite_products.py",
)
BEATS = (
    "tests/schedule/test_schedule_saved.py", "tests/schedule/test_schedule_rules.py",
    "tests/schedule/test_schedule_random.py",
)  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """`old`, which stands once in `file`, becomes `new`; one of `tests` must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    why: str


MUTANTS = (
    Mutant(
        "tie_to_odd", "fxsim/casting.py",
        "down = 1 - (np.right_shift(v, s) & 1)", "down = np.right_shift(v, s) & 1",
        CASTING, "RND_CONV sends ties to the odd neighbour",
    ),
    Mutant(
        "truncation_off_by_one", "fxsim/casting.py",
        "negative * (one - 1)", "negative * one",
        CASTING, "TRN_ZERO moves negative multiples of an LSB",
    ),
    Mutant(
        "saturation_off_by_one", "fxsim/casting.py",
        "hi = bits - 1 - sign_bit", "hi = bits - 2 - sign_bit",
        CASTING, "SAT clips to one code below the greatest",
    ),
    Mutant(
        "bit_above_ignores_width", "fxsim/casting.py",
        "(position < source_width)", "(position < source_width - 1)",
        CASTING, "WRAP_SM takes the top bit of the declared source for 0",
    ),
    Mutant(
        "difference_interval", "fxsim/ops/arithmetic.py",
        "subtract(a.lo, b.hi), subtract(a.hi, b.lo)", "subtract(a.lo, b.lo), subtract(a.hi, b.hi)",
        TYPES, "the interval of a difference pairs the wrong ends",
    ),
    Mutant(
        "product_stride", "fxsim/ranges.py",
        "np.minimum(a.stride + b.stride, ZERO_STRIDE)", "np.maximum(a.stride, b.stride)",
        TYPES, "the stride of a product is that of one factor",
    ),
    Mutant(
        "strict_compare_type", "fxsim/ops/choice.py",
        "can, must = ra.lo <= rb.hi, ra.hi <= rb.lo", "can, must = ra.lo < rb.hi, ra.hi < rb.lo",
        TYPES, "`<` for `<=` in the type of a comparison",
    ),
    Mutant(
        "argmax_later_of_equals", "fxsim/ops/choice.py",
        "hi[1:] > before[:-1]", "hi[1:] >= before[:-1]",
        TYPES, "the type of argmax lets a later one of equal elements win",
    ),
    Mutant(
        "threshold_strict", "fxsim/ops/lookup.py",
        'np.searchsorted(row, values, side="right")', 'np.searchsorted(row, values, side="left")',
        SMT, "a threshold is reached one code too late",
    ),
    Mutant(
        "tie_of_float_scale", "fxsim/load/steps.py",
        "return half, j % 2 == 0", "return half, j % 2 == 1",
        LOAD, "ties of a quantizer go to the odd code",
    ),
    Mutant(
        "threshold_off_by_one", "fxsim/load/steps.py",
        "return -(-n // d) if inclusive else n // d + 1", "return -(-n // d) if inclusive else n // d",
        LOAD, "an excluded threshold is not moved up",
    ),
    Mutant(
        "certificate_misses_last_step", "fxsim/load/certificate.py",
        "for j in range(least + 1, greatest + 1):", "for j in range(least + 1, greatest):",
        LOAD, "the certificate leaves out the step to the greatest code",
    ),
    Mutant(
        "bounds_of_another_rounding",
        "fxsim/emulate/rounding.py",
        "round_shift(a, shift, mode) for a in (base.lo, base.hi)",
        "round_shift(a, shift, op.rounding) for a in (base.lo, base.hi)",
        ("tests/emulate/test_one_sided_rounding.py",),
        "the fast emulator leaves out a clamp that its own rounding needs",
    ),
    Mutant(
        "slice_forgets_sign", "rtl/emit/logic.py",
        "extended(w, high, net.args[0].signed, net.width)", "extended(w, high, False, net.width)",
        LOWER, "the upper bits of a signed value are extended by zeros",
    ),
    Mutant(
        "flip_forgets_sign", "rtl/emit/adders.py",
        "_flipped(w, v) if u.signed else v", "v",
        CODES, "a signed operand of an adder of codes is read as unsigned",
    ),
    Mutant(
        "ones_above_the_lower_operand", "rtl/lower/codes.py",
        "fill = (1 << q.top) - (1 << max(p.top, q.zeros))", "fill = (1 << q.top) - (1 << p.top)",
        CODES, "constant bits begin below the carry chain",
    ),
    Mutant(
        "half_of_the_code", "rtl/lower/encode.py",
        "Wire(made, code.zeros), -code.sign * code.offset", "Wire(made, code.zeros), code.sign * code.offset",
        CODES, "a code is taken for its value with the wrong offset",
    ),
    Mutant(
        "too_few_bits_demanded", "rtl/lower/demand.py",
        "yield args[0], bits + params[0]", "yield args[0], bits",
        LOWER, "a slice asks for too few bits of its source",
    ),
    Mutant(
        "low_bits_lost", "rtl/lower/low.py",
        "net.params[0] + passed if", "net.params[0] + passed + 1 if",
        LOWER, "a bit is dropped that a slice reads",
    ),
    Mutant(
        "carry_missing", "rtl/emit/adders.py",
        "below = w.constant(int(carry), 1)", "below = w.constant(0, 1)",
        CODES, "an adder's carry, a part of the constant of a value, is left out",
    ),
    Mutant(
        "constant_too_late", "rtl/lower/spare.py",
        "late = constant and later > level", "late = False",
        CODES, "a constant joins where it makes the column deeper",
    ),
    Mutant(
        "constant_of_wrong_sign", "rtl/lower/spare.py",
        "(missing if moved > result.offset else -missing)", "missing",
        CODES, "a constant is added where its operand is subtracted",
    ),
    Mutant(
        "register_missing", "rtl/emit/walk.py",
        "at[net, s] = w.register(name_of(net, s, plan), net, at[net, s - 1])",
        "at[net, s] = (w.register if s != 2 else w.signal)(name_of(net, s, plan), net, at[net, s - 1])",
        CORE, "one register is missing on every path that crosses stage 2",
    ),
    Mutant(
        "stage_too_deep", "rtl/timing/stages.py",
        "fits = fits and high <= most", "fits = fits and high <= 2 * most",
        CORE, "a stage may hold one adder more than allowed",
    ),
    Mutant(
        "stall_ignored", "rtl/stream/handshake.py",
        "Mux(advance, Cat(i.valid, valid[:-1]), valid)", "Cat(i.valid, valid[:-1])",
        CORE, "valid moves on under backpressure",
    ),
    Mutant(
        "half_bit_of_rounding", "rtl/lower/casts.py",
        "half = 1 << drop - 1", "half = 1 << drop",
        LOWER, "hardware rounds by the wrong bit",
    ),
    Mutant(
        "saturation_bound_in_hardware", "rtl/lower/casts.py",
        "nl.at_least(q, nl.const(top + 1))", "nl.at_least(q, nl.const(top))",
        LOWER, "`>=` top for `>` top: invisible for SAT, wrong for SAT_ZERO",
    ),
    Mutant(
        "top_partial_product", "rtl/lower/product.py",
        "-1 if b.net.signed and j == bits - 1 else 1", "1",
        LOWER, "the sign bit of a factor weighs +2**j",
    ),
    Mutant(
        "round_to_odd_in_cpp", "hls/include/fx_ops.h",
        "ap_int<W>(one << (S - 1)) - low;", "ap_int<W>(one << (S - 1));",
        HLS, "C++ sends every tie up",
    ),
    Mutant(
        "wrap_sign_in_cpp", "hls/include/fx_ops.h",
        "return bool(wrapped[W - 1]) == above ? wrapped", "return bool(wrapped[W - 1]) != above ? wrapped",
        HLS, "C++ complements the wrong codes of WRAP_SM",
    ),
    Mutant(
        "initial_state_of_the_first_lane", "rtl/state.py",
        "self.init >> net.params[0] - self.start &", "self.init &",
        MACHINE, "every state register starts as the first one does",
    ),
    Mutant(
        "underflow_kept", "fxsim/layers/lmul.py",
        "kept & (total >= (unit.least << m) - origin)", "kept",
        LMUL, "a product below the least exponent is no zero",
    ),
    Mutant(
        "increment_rounded_down", "fxsim/iterate/updates.py",
        "select(_floor(target, fmt.frac) < old, carry, 0)", "select(_floor(target, fmt.frac) < old, 0, 0)",
        UNIT, "increments below one LSB move the state down, and loops cycle",
    ),
    Mutant(
        "jacobi_reads_new_values", "fxsim/iterate/loop.py",
        "        if plan.schedule.fresh:\n", "        if True:\n",
        UNIT, "a folded Jacobi sweep becomes Gauss-Seidel",
    ),
    Mutant(
        "tie_of_one_problem", "fxsim/iterate/compiled.py",
        "return low + (low & 1)", "return low + 1 - (low & 1)",
        SINGLE, "one problem alone rounds ties to odd where many round to even",
    ),
    Mutant(
        "least_change_one_too_small", "fxsim/iterate/theorems.py",
        "else ceil(reach) - 1", "else ceil(reach) - 2",
        THEOREMS, "a stop by change is allowed that may never come",
    ),
    Mutant(
        "ring_ignores_a_full_result", "rtl/ring.py",
        'w.bitwise("or", w.invert(ended), room)', 'w.bitwise("or", w.invert(ended), w.constant(1, 1))',
        RING, "a result that nobody took is overwritten",
    ),
    Mutant(
        "mark_of_another_slot", "rtl/ring.py",
        "moved = w.join(w.constant(0, 1), w.cut(stop, 0, last))", "moved = stop",
        RING, "a problem that was not cancelled is aborted",
    ),
    Mutant(
        "tflite_shift_ties_up", "fxsim/load/tflite/gemmlowp.py",
        "-((half - a) >> bits)", "(a + half) >> bits",
        TFLITE, "the second rounding of a multiplier sends negative ties up",
    ),
    Mutant(
        "tflite_padding_is_code_0", "fxsim/load/tflite/products.py",
        "window = windows(loader, op, x, w.shape[1:3], q.zero)\n    kernel",
        "window = windows(loader, op, x, w.shape[1:3], 0)\n    kernel",
        TFLITE, "SAME padding is the code 0, not the real 0",
    ),
    Mutant(
        "tflite_average_ties_to_zero", "fxsim/load/tflite/rounding.py",
        "self.count // 2) // self.count", "(self.count - 1) // 2) // self.count",
        TFLITE, "an average of an even number rounds ties toward zero",
    ),
    Mutant(
        "tflite_two_newton_steps", "fxsim/load/tflite/softmax.py",
        "for _ in range(3):", "for _ in range(2):",
        TFLITE, "softmax's reciprocal is a few ulp off",
    ),
    Mutant(
        "sum_bounded_on_one_side", "fxsim/load/sums.py",
        "yield case(j, x + out, False)", "yield case(j, x, True)",
        ("tests/load/test_load_sums.py",), "a sum of branches may reach a code one step early",
    ),
    Mutant(
        "multithreshold_beyond", "fxsim/load/nodes/multithreshold.py",
        "(Fraction(t), True)", "(Fraction(t), False)",
        ("tests/load/test_load_qonnx_nodes.py",), "a value on FINN's threshold does not count",
    ),
    Mutant(
        "trunc_rounds_once", "fxsim/load/nodes/trunc.py",
        "Quantizer(ONE, NONE, low, high))", 'Quantizer(ONE, NONE, low, high, "FLOOR"))',
        ("tests/load/test_load_qonnx_nodes.py",), "Trunc drops what lies below a code before it shifts",
    ),
    Mutant(
        "float_binade_begins_late", "fxsim/load/nodes/float_quant.py",
        "steps.append(step if k > 1 << mantissa else step // 2)", "steps.append(step)",
        ("tests/load/test_load_float_quant.py",), "a power of two is reached by the coarser step above it",
    ),
    Mutant(
        "difference_turned_round", "fxsim/host.py",
        '"SubFrom": lambda x, c: c - x', '"SubFrom": lambda x, c: x - c',
        ("tests/load/test_load_qonnx_nodes.py",), "constant - input is input - constant on the host",
    ),
    Mutant(
        "data_file_by_its_name", "fxsim/load/onnx_guard.py",
        "file.resolve().is_relative_to(path.parent.resolve())", "file.is_relative_to(path.parent)",
        ("tests/load/test_load_hostile.py",), "external data is read outside the model's folder",
    ),
    Mutant(
        "padding_below_unseen", "rtl/schedule/beats.py",
        "if any(op.before) or any(op.after):", "if any(op.before):",
        BEATS, "the type of a window forgets padding that stands behind the image only",
    ),
    Mutant(
        "gathered_in_turn", "rtl/schedule/beats.py",
        "order[placed[real]] = real", "order[real] = placed[real]",
        BEATS, "beats are gathered by the inverse of their order",
    ),
    Mutant(
        "channel_tables_alike", "rtl/schedule/rules.py",
        "bad = () if v.op.axis is None or rows == 1 else (v.op.axis % len(f.shape),)", "bad = ()",
        BEATS, "a table per channel is taken for one of all channels where channels are streamed",
    ),
    Mutant(
        "constants_pass_at_once", "rtl/schedule/segment.py",
        "Varying(kind, words, inner)", "Varying(kind, words, 1)",
        BEATS, "a constant per row changes with every beat",
    ),
    Mutant(
        "flattened_in_stream_order", "rtl/schedule/fold.py",
        "np.add.at(rows, places.ravel(), w)", "np.add.at(rows, np.arange(len(w)), w)",
        BEATS, "weights of a dense layer follow the stream, not the flattened tensor",
    ),
    Mutant(
        "stride_of_the_coarsest", "rtl/schedule/forms.py",
        "stride = t.stride.min(axis=self.axes", "stride = t.stride.max(axis=self.axes",
        BEATS, "a beat's type has the trailing zeros of one place",
    ),
    Mutant(
        "fork_offers_twice", "rtl/stream/fork.py",
        'w.bitwise("and", given, w.repeat(stays, self.ways))', "w.constant(0, self.ways)",
        ("tests/stream/test_stream_parts_networks.py",), "a fork offers a beat again while one way waits",
    ),
    Mutant(
        "groups_within_rows", "rtl/stream/folded_split.py",
        "a.transpose(4, 0, 1, 2, 3, 5)", "a.transpose(0, 4, 1, 2, 3, 5)",
        ("tests/stream/test_stream_folded.py",), "weights are stored row by row, not group by group",
    ),
    Mutant(
        "sum_begins_late", "rtl/stream/accumulate.py",
        'w.load("begun", w.invert(beat.last), fire, True)', 'w.load("begun", beat.last, fire, True)',
        ("tests/stream/test_stream_parts.py",), "sums of beats begin anew after each but the last",
    ),
    Mutant(
        "fifo_of_one_more", "rtl/stream/model_kernel.py",
        "room = held < table[p, CAPACITY]", "room = held <= table[p, CAPACITY]",
        ("tests/stream/test_stream_model.py",), "the cycle model's FIFOs hold one beat more than they do",
    ),
)  # fmt: skip
