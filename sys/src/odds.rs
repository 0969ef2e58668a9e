//! What the compiler is told of the odds: where the kernel has pushed a program's code out of the processor's
//! sight, as every system call does, a jump costs more than the instructions between two.

/// The condition, which hardly ever holds: what follows from it is put out of the way.
#[inline(always)]
#[must_use]
pub const fn unlikely(condition: bool) -> bool {
    if condition {
        out_of_the_way();
    }
    condition
}

/// The condition, which almost always holds.
#[inline(always)]
#[must_use]
pub const fn likely(condition: bool) -> bool {
    !unlikely(!condition)
}

/// Where this is called is cold.
#[inline(always)]
#[cold]
const fn out_of_the_way() {}
