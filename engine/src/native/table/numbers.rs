//! Numbers of system calls: those of the headers that we build with, and of calls that are younger, by
//! the kernel's own names.

#![allow(non_upper_case_globals)]

pub(super) use sysring_sys::raw::general::*;

#[cfg(target_arch = "x86_64")]
pub(super) const __NR_uprobe: u32 = 336;
pub(super) const __NR_listns: u32 = 470;
pub(super) const __NR_rseq_slice_yield: u32 = 471;
