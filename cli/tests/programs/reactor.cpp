// asio with io_uring instead of epoll: sockets, files, timers, a pipe and signals on one ring, which
// three threads turn. What C++ servers do with it.

#define ASIO_HAS_IO_URING 1
#define ASIO_DISABLE_EPOLL 1
#include <asio.hpp>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

using asio::awaitable;
using asio::use_awaitable;
using asio::ip::tcp;

constexpr int CLIENTS = 8, ROUNDS = 200, FILES = 4, BLOCKS = 50;
constexpr size_t MESSAGE = 1024, BLOCK = 4096;
static std::atomic<long> rounds, blocks;

static void check(bool holds, const char *what)
{
	if (!holds) {
		std::cerr << what << std::endl;
		std::_Exit(1);
	}
}

static awaitable<void> serve(tcp::socket socket)
{
	std::string message(MESSAGE, 0);
	for (int i = 0; i < ROUNDS; i++) {
		co_await asio::async_read(socket, asio::buffer(message), use_awaitable);
		co_await asio::async_write(socket, asio::buffer(message), use_awaitable);
	}
}

static awaitable<void> listen(tcp::acceptor &acceptor)
{
	for (int i = 0; i < CLIENTS; i++) {
		tcp::socket socket = co_await acceptor.async_accept(use_awaitable);
		asio::co_spawn(acceptor.get_executor(), serve(std::move(socket)), asio::detached);
	}
}

static awaitable<void> connect(tcp::endpoint to, int id)
{
	tcp::socket socket(co_await asio::this_coro::executor);
	co_await socket.async_connect(to, use_awaitable);
	for (int i = 0; i < ROUNDS; i++) {
		std::string sent(MESSAGE, char(i + id)), received(MESSAGE, 0);
		co_await asio::async_write(socket, asio::buffer(sent), use_awaitable);
		co_await asio::async_read(socket, asio::buffer(received), use_awaitable);
		check(received == sent, "another echo");
		rounds++;
	}
}

static awaitable<void> write_and_read(int id)
{
	asio::random_access_file file(co_await asio::this_coro::executor, "file" + std::to_string(id),
		asio::file_base::read_write | asio::file_base::create | asio::file_base::truncate);
	for (int i = 0; i < BLOCKS; i++) {
		std::string block(BLOCK, char(i + id));
		co_await asio::async_write_at(file, i * BLOCK, asio::buffer(block), use_awaitable);
	}
	for (int i = 0; i < BLOCKS; i++) {
		std::string block(BLOCK, 0);
		co_await asio::async_read_at(file, i * BLOCK, asio::buffer(block), use_awaitable);
		check(block == std::string(BLOCK, char(i + id)), "another block");
		blocks++;
	}
}

/* A read that nobody answers is cancelled by a timer. */
static awaitable<void> give_up()
{
	auto executor = co_await asio::this_coro::executor;
	int ends[2];
	check(!pipe(ends), "pipe");
	asio::readable_pipe from(executor, ends[0]);
	asio::steady_timer timer(executor, std::chrono::milliseconds(20));
	timer.async_wait([&](asio::error_code) { from.cancel(); });
	char byte;
	asio::error_code error;
	co_await from.async_read_some(asio::buffer(&byte, 1), asio::redirect_error(use_awaitable, error));
	check(error == asio::error::operation_aborted, "not cancelled");
	close(ends[1]);
	std::raise(SIGUSR1);
}

int main()
{
	asio::io_context context;
	tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
	asio::signal_set signals(context, SIGUSR1);
	std::atomic<int> heard = 0;
	signals.async_wait([&](asio::error_code, int number) { heard = number; });
	auto failed = [](std::exception_ptr why) {
		if (why)
			std::rethrow_exception(why);
	};
	asio::co_spawn(context, listen(acceptor), failed);
	for (int i = 0; i < CLIENTS; i++)
		asio::co_spawn(context, connect(acceptor.local_endpoint(), i), failed);
	for (int i = 0; i < FILES; i++)
		asio::co_spawn(context, write_and_read(i), failed);
	asio::co_spawn(context, give_up(), failed);
	std::vector<std::thread> threads;
	for (int i = 0; i < 3; i++)
		threads.emplace_back([&] { context.run(); });
	for (auto &thread : threads)
		thread.join();
	check(heard == SIGUSR1, "no signal");
	std::cout << rounds << " rounds, " << blocks << " blocks" << std::endl;
}
