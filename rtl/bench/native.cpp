// Drives one verilated core with valid/ready streams from memory. extern "C", for ctypes; no VPI, generic in the
// layout: samples cross as 32-bit words. A clock cycle is: set the inputs, settle, look, rising edge.
// The pause sequences are those of rtl/bench/patterns.py, bit for bit.
#include "Vtop.h"
#include "probes.h"
#include "verilated.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>

#define FX_EXPORT extern "C" __attribute__((visibility("default")))

// Verilator writes "__" of a Verilog name as "___05F".
#define I_PAYLOAD i___05Fpayload
#define I_VALID i___05Fvalid
#define I_READY i___05Fready
#define O_PAYLOAD o___05Fpayload
#define O_VALID o___05Fvalid
#define O_READY o___05Fready

namespace {

struct Pattern {
    uint64_t state;         // random: start of the hash
    uint64_t threshold;     // random: pause if the upper half of the hash is below
    const uint8_t* pauses;  // cycle: one byte per cycle; null selects random
    int64_t length;

    bool pause(uint64_t cycle) const {
        if (pauses) return pauses[cycle % static_cast<uint64_t>(length)] != 0;
        if (!threshold) return false;
        uint64_t z = state + (cycle + 1) * 0x9E3779B97F4A7C15ull;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
        z ^= z >> 31;
        return (z >> 32) < threshold;
    }
};

enum Fault : int64_t { NONE = 0, VALID_DROPPED = 1, PAYLOAD_CHANGED = 2, FINISHED = 3 };

}  // namespace

// Mirrored field by field by rtl/bench/recording.py.
struct Link {
    uint32_t* words;                // capacity payloads of size words
    int64_t* cycles;
    int64_t capacity, count, size;  // count goes on beyond the capacity
};

struct Probes {
    Link* links;
    uint32_t* window;                // per cycle of from .. until - 1: valid, ready, every payload
    int64_t from, until, row, rows;  // row words a cycle; rows written
};

// Mirrored field by field by rtl/bench/native.py.
struct Job {
    const uint32_t* in;  // n_in samples of in_words words
    uint32_t* out;       // n_out samples of out_words words
    int64_t n_in, n_out, in_words, out_words;
    int64_t cycles, sent, received;     // state: carried from call to call
    int64_t first_in, first_out;        // cycle of the first word taken, of the first output valid; -1 before
    int64_t last_progress;              // cycle of the last handshake on either side
    int64_t offering, held;             // source holds an offer; sink left an offer of the core waiting
    int64_t fault, spurious;            // Fault; outputs beyond n_out
    Pattern idle, backpressure;
    Probes* probes;  // may be null
};

namespace {

struct Sim {
    VerilatedContext context;
    Vtop top{&context};
    uint32_t held[(sizeof(Vtop::O_PAYLOAD) + 3) / 4] = {};

    void edge() {
        top.clk = 1;
        top.eval();
        top.clk = 0;
        context.timeInc(1);
    }
};

template <class Payload> void put(Payload& payload, const uint32_t* words, int64_t count) {
    uint8_t* to = reinterpret_cast<uint8_t*>(&payload);
    const size_t size = std::min(sizeof(Payload), static_cast<size_t>(4 * count));
    std::memcpy(to, words, size);
    std::memset(to + size, 0, sizeof(Payload) - size);
}

template <class Payload> void get(const Payload& payload, uint32_t* words, int64_t count) {
    const size_t size = std::min(sizeof(Payload), static_cast<size_t>(4 * count));
    std::memcpy(words, &payload, size);
    std::memset(reinterpret_cast<uint8_t*>(words) + size, 0, 4 * count - size);
}

#ifdef FX_LINKS
// The links inside, as they are settled before the edge of a cycle.
void look(Vtop& top, Probes* probes, int64_t cycle) {
    constexpr int64_t flags = (FX_LINKS + 31) / 32;
    uint32_t valid[flags], ready[flags];
    get(top.probe___05Fvalid, valid, flags);
    get(top.probe___05Fready, ready, flags);
    uint32_t* row = nullptr;
    if (probes->from <= cycle && cycle < probes->until) {
        row = probes->window + probes->rows++ * probes->row;
        std::memcpy(row, valid, sizeof valid);
        std::memcpy(row + flags, ready, sizeof ready);
        row += 2 * flags;
    }
#define FX_LOOK(K, PAYLOAD)                                                                   \
    {                                                                                         \
        Link& link = probes->links[K];                                                        \
        if (row) {                                                                            \
            get(top.PAYLOAD, row, link.size);                                                 \
            row += link.size;                                                                 \
        }                                                                                     \
        if ((valid[K / 32] & ready[K / 32]) >> K % 32 & 1) {                                  \
            if (link.count < link.capacity) {                                                 \
                get(top.PAYLOAD, link.words + link.count * link.size, link.size);             \
                link.cycles[link.count] = cycle;                                              \
            }                                                                                 \
            ++link.count;                                                                     \
        }                                                                                     \
    }
    FX_EACH_LINK(FX_LOOK)
}
#else
void look(Vtop&, Probes*, int64_t) {}
#endif

}  // namespace

FX_EXPORT void* fx_new() {
    auto sim = std::make_unique<Sim>();
    sim->top.clk = 0;
    sim->top.rst = 0;
    sim->top.I_VALID = 0;
    sim->top.O_READY = 0;
    std::memset(&sim->top.I_PAYLOAD, 0, sizeof(sim->top.I_PAYLOAD));
    sim->top.eval();
    return sim.release();
}

FX_EXPORT void fx_free(void* handle) { delete static_cast<Sim*>(handle); }

// Hold reset for `cycles` edges; returns o__valid in the cycle after it, which must be 0.
FX_EXPORT int64_t fx_reset(void* handle, int64_t cycles) {
    auto* sim = static_cast<Sim*>(handle);
    auto& top = sim->top;
    top.rst = 1;
    top.I_VALID = 0;
    top.O_READY = 0;
    top.eval();
    for (int64_t i = 0; i < cycles; ++i) sim->edge();
    top.rst = 0;
    top.eval();
    return top.O_VALID;
}

// Run until `n_out` samples came, a fault shows, or `budget` cycles passed; continues where the job stands.
FX_EXPORT void fx_run(void* handle, Job* job, int64_t budget) {
    auto* sim = static_cast<Sim*>(handle);
    auto& top = sim->top;
    Job j = *job;
    bool offering = j.offering, held = j.held;
    for (const int64_t end = j.cycles + budget; j.received < j.n_out && j.cycles < end;) {
        if (!offering && j.sent < j.n_in && !j.idle.pause(j.cycles)) {
            put(top.I_PAYLOAD, j.in + j.sent * j.in_words, j.in_words);
            offering = true;
        }
        const bool ready = !j.backpressure.pause(j.cycles);
        top.I_VALID = offering;
        top.O_READY = ready;
        top.eval();
        const bool valid = top.O_VALID;
        if (j.probes) look(top, j.probes, j.cycles);
        if (held) {
            if (!valid) { j.fault = VALID_DROPPED; break; }
            if (std::memcmp(sim->held, &top.O_PAYLOAD, sizeof(top.O_PAYLOAD))) { j.fault = PAYLOAD_CHANGED; break; }
        }
        held = valid && !ready;
        if (held) std::memcpy(sim->held, &top.O_PAYLOAD, sizeof(top.O_PAYLOAD));
        if (valid && j.first_out < 0) j.first_out = j.cycles;
        if (valid && ready) {
            get(top.O_PAYLOAD, j.out + j.received++ * j.out_words, j.out_words);
            j.last_progress = j.cycles;
        }
        if (offering && top.I_READY) {
            if (j.first_in < 0) j.first_in = j.cycles;
            ++j.sent;
            offering = false;
            j.last_progress = j.cycles;
        }
        sim->edge();
        ++j.cycles;
        if (sim->context.gotFinish()) { j.fault = FINISHED; break; }
    }
    j.offering = offering;
    j.held = held;
    *job = j;
}

// `cycles` more cycles without input and always ready: counts outputs that nobody asked for.
FX_EXPORT void fx_drain(void* handle, Job* job, int64_t cycles) {
    auto* sim = static_cast<Sim*>(handle);
    auto& top = sim->top;
    top.I_VALID = 0;
    top.O_READY = 1;
    for (int64_t i = 0; i < cycles; ++i) {
        top.eval();
        if (job->probes) look(top, job->probes, job->cycles + i);
        job->spurious += top.O_VALID;
        sim->edge();
    }
}
