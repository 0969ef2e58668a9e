//! The open files of a request: found when its turn comes, and held while it waits, because the
//! application may close the number meanwhile and get it again for something else.

use sysring_sys::{Errno, Fd, Result};

use crate::descriptors;
use crate::locked::Locked;
use crate::request::{File, Req, flag};

impl Locked<'_> {
    /// Finds the open file, when the request's turn has come (`FEAT_LINKED_FILE`).
    #[inline(always)]
    pub(super) fn resolve_file(&mut self, mut req: Req) -> Result<()> {
        if req.file.owned {
            return Ok(());
        }
        req.file.fd = self.named(req, req.sqe.fd, req.has(flag::FIXED_FILE))?;
        Ok(())
    }

    /// The descriptor that a request means by `fd`: a number, or an index of the registered ones.
    #[inline(always)]
    fn named(&mut self, req: Req, fd: i32, fixed: bool) -> Result<Fd> {
        if fixed {
            let (fd, tag) = self.files.find(fd as u32)?;
            self.use_tag(req, tag);
            return Ok(fd);
        }
        let fd = Fd::new(fd);
        if descriptors::is_internal(fd) { Err(Errno::EBADF) } else { Ok(fd) }
    }

    /// Keeps the open file for a request that outlives its submission: the application may close
    /// the number and get it again for something else. Out of descriptors, the request is left with
    /// the number itself ([`Req::is_bare`]).
    ///
    /// # Errors
    /// As [`File::held`].
    pub fn hold_file(&mut self, mut req: Req) -> Result<()> {
        req.file = req.file.held(&mut req.known_by[0])?;
        self.readiness.has_bare |= req.file.is_bare();
        Ok(())
    }

    /// The same for a second file, named by `fd` as `fixed` says.
    ///
    /// # Errors
    /// As [`File::held`]; `EBADF` where there is none.
    pub fn hold_other(&mut self, mut req: Req, fd: i32, fixed: bool) -> Result<()> {
        if !req.other.is_held() {
            req.other = File::named(self.named(req, fd, fixed)?);
        }
        req.other = req.other.held(&mut req.known_by[1])?;
        Ok(())
    }

    /// Gives the files back.
    #[inline(always)]
    pub fn release_file(&mut self, req: Req) {
        self.disarm(req);
        if req.file.owned || req.other.owned {
            self.let_go_of_files(req);
        }
    }

    #[cold]
    fn let_go_of_files(&mut self, mut req: Req) {
        for file in [req.file, req.other] {
            if file.owned && (!file.lent || self.lent.leave(file.fd)) {
                descriptors::let_go_of_file(file.fd);
            }
        }
        (req.file, req.other) = (File::NONE, File::NONE);
    }
}
