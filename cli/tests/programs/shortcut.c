/* Makes io_uring_enter often, by code as compilers have it, and sees that the call keeps what a
 * system call keeps, however it is made. Says whether the code is what it was.
 *
 * shortcut plain|between|across|threads|across-threads|fork */
#include <pthread.h>

#include "ring.h"

#define MARKS "movabs $0x1122334455667788, %rbx\n lea 1(%rbx), %rbp\n lea 2(%rbx), %r12\n"          \
	" lea 3(%rbx), %r13\n lea 4(%rbx), %r14\n lea 5(%rbx), %r15\n"
#define VECTOR(n, mark) " movq %" mark ", %xmm" #n "\n movlhps %xmm" #n ", %xmm" #n "\n"
/* Falls through if equal; else the answer is the number of what was lost. */
#define SAME(number, have, want) " mov $" #number ", %ecx\n cmp " want ", " have "\n jne 9f\n"
#define SAME_VECTOR(n, mark)                                                                       \
	" movq %xmm" #n ", %r11\n" SAME(50 + n, "%r11", "%" mark)                                  \
	" movhlps %xmm" #n ", %xmm" #n "\n movq %xmm" #n ", %r11\n" SAME(70 + n, "%r11", "%" mark)

/* 0, or a number that says what was not kept; a negative one if the call failed. */
#define PROBE(name, place, between)                                                                \
	int name(int fd);                                                                          \
	extern unsigned char name##_site[];                                                        \
	asm(".text\n.p2align 6\n" #name ":\n"                                                      \
	    " push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n" MARKS       \
	    VECTOR(0, "rbx") VECTOR(1, "rbp") VECTOR(2, "r12") VECTOR(3, "r13") VECTOR(4, "r14")  \
	    VECTOR(5, "r15") VECTOR(6, "rbx") VECTOR(7, "rbp") VECTOR(8, "r12") VECTOR(9, "r13")  \
	    VECTOR(10, "r14") VECTOR(11, "r15") VECTOR(12, "rbx") VECTOR(13, "rbp")               \
	    VECTOR(14, "r12") VECTOR(15, "r13")                                                    \
	    " mov %rbx, -8(%rsp)\n mov %rbp, -128(%rsp)\n"                                         \
	    " xor %esi, %esi\n mov %r14, %rdx\n xor %r10d, %r10d\n mov %r12, %r8\n"                \
	    " mov %r13, %r9\n std\n cld\n stc\n"                                                   \
	    ".p2align 5\n" place #name "_site:\n mov $426, %eax\n" between " syscall\n"            \
	    " mov $1, %ecx\n jnc 9f\n test %rax, %rax\n mov $-1, %ecx\n jnz 9f\n"                  \
	    SAME(2, "%rdx", "%r14") SAME(3, "%r8", "%r12") SAME(4, "%r9", "%r13")                  \
	    SAME(5, "%rsi", "$0") SAME(6, "%r10", "$0")                                            \
	    " mov -8(%rsp), %r11\n" SAME(7, "%r11", "%rbx")                                        \
	    " mov -128(%rsp), %r11\n" SAME(8, "%r11", "%rbp")                                      \
	    " movabs $0x1122334455667788, %r11\n" SAME(9, "%rbx", "%r11") " inc %r11\n"            \
	    SAME(10, "%rbp", "%r11") " inc %r11\n" SAME(11, "%r12", "%r11") " inc %r11\n"          \
	    SAME(12, "%r13", "%r11") " inc %r11\n" SAME(13, "%r14", "%r11") " inc %r11\n"          \
	    SAME(14, "%r15", "%r11")                                                               \
	    SAME_VECTOR(0, "rbx") SAME_VECTOR(1, "rbp") SAME_VECTOR(2, "r12")                      \
	    SAME_VECTOR(3, "r13") SAME_VECTOR(4, "r14") SAME_VECTOR(5, "r15")                      \
	    SAME_VECTOR(6, "rbx") SAME_VECTOR(7, "rbp") SAME_VECTOR(8, "r12")                      \
	    SAME_VECTOR(9, "r13") SAME_VECTOR(10, "r14") SAME_VECTOR(11, "r15")                    \
	    SAME_VECTOR(12, "rbx") SAME_VECTOR(13, "rbp") SAME_VECTOR(14, "r12")                   \
	    SAME_VECTOR(15, "r13")                                                                 \
	    " xor %ecx, %ecx\n9:\n mov %ecx, %eax\n"                                               \
	    " pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n")

PROBE(plain, "", "");
/* Half of the instruction lies in one cache line, half in the next. */
PROBE(across, ".skip 30, 0x90\n", "");
PROBE(between, "", " mov %r12, %r8\n mov %r13, %r9\n mov $7, %r11d\n");

static int (*probe)(int) = plain;

static void *often(void *fd)
{
	for (int i = 0; i < 20000; i++) {
		int lost = probe(*(int *)fd);
		if (lost) {
			fprintf(stderr, "lost: %d in round %d\n", lost, i);
			exit(1);
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct ring r;
	open_ring(&r, 8);
	const char *what = argc > 1 ? argv[1] : "plain";
	unsigned char *site = plain_site;
	if (!strcmp(what, "between"))
		probe = between, site = between_site;
	if (!strncmp(what, "across", 6))
		probe = across, site = across_site;
	unsigned char before = *site;
	/* Threads are to be there when the code is changed. */
	int threaded = !!strstr(what, "threads");
	for (int i = 0; i < (threaded ? 4 : 100); i++) {
		int lost = probe(r.fd);
		if (lost) {
			fprintf(stderr, "lost: %d in round %d\n", lost, i);
			return 1;
		}
	}
	if (threaded) {
		pthread_t threads[8];
		for (int i = 0; i < 8; i++)
			CHECK(!pthread_create(&threads[i], 0, often, &r.fd));
		for (int i = 0; i < 8; i++)
			CHECK(!pthread_join(threads[i], 0));
	}
	if (!strcmp(what, "fork")) {
		pid_t child = fork();
		if (!child) {
			often(&r.fd);
			_exit(0);
		}
		ends_well(child);
		often(&r.fd);
	}
	/* Answers are the call's, too. */
	CHECK(probe(1 << 20) == -1);
	puts(*site == before ? "as it was" : "changed");
	return 0;
}
