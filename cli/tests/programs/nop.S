/* io_uring without a library, without a stack frame, without anything: three calls and two
 * mappings. Sixteen NOPs in one batch; the exit status is the number of completions that came, and
 * 99 where a call failed. */
	.intel_syntax noprefix
	.globl _start
	.bss
params:	.zero 120
	.text
_start:
	mov	eax, 425		/* io_uring_setup(16, params) */
	mov	edi, 16
	lea	rsi, [rip + params]
	syscall
	test	eax, eax
	js	failed
	mov	r12d, eax

	xor	r9d, r9d		/* the queues */
	call	map
	mov	r13, rax
	mov	r9d, 0x10000000		/* the entries */
	call	map
	mov	r14, rax

	lea	rbp, [rip + params]
	mov	ecx, 16
	mov	rdi, r14
	mov	ebx, [rbp + 40 + 24]	/* sq_off.array */
	add	rbx, r13
	xor	edx, edx
fill:	mov	byte ptr [rdi], 0	/* NOP */
	mov	dword ptr [rdi + 4], -1
	mov	[rdi + 32], rdx		/* user_data */
	mov	[rbx + rdx * 4], edx
	add	rdi, 64
	inc	edx
	loop	fill
	mov	eax, [rbp + 40 + 4]	/* sq_off.tail */
	mov	dword ptr [r13 + rax], 16

	mov	eax, 426		/* io_uring_enter(fd, 16, 16, GETEVENTS, 0, 0) */
	mov	edi, r12d
	mov	esi, 16
	mov	edx, 16
	mov	r10d, 1
	xor	r8d, r8d
	xor	r9d, r9d
	syscall
	cmp	eax, 16
	jne	failed

	mov	eax, [rbp + 80 + 4]	/* cq_off.tail less cq_off.head */
	mov	edi, [r13 + rax]
	mov	eax, [rbp + 80]
	sub	edi, [r13 + rax]
	jmp	leave
failed:	mov	edi, 99
leave:	mov	eax, 231		/* exit_group */
	syscall

	/* mmap(0, 4096, READ|WRITE, SHARED|POPULATE, fd, r9); the first page is all we use */
map:	mov	eax, 9
	xor	edi, edi
	mov	esi, 4096
	mov	edx, 3
	mov	r10d, 0x8001
	mov	r8d, r12d
	syscall
	cmp	rax, -4096
	ja	failed
	ret
	.section .note.GNU-stack, "", @progbits
