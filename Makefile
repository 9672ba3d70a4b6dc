# rtm.h: `make demo` shows it, `make test` must pass after each change, `make help` lists the rest.
.POSIX:
.SUFFIXES:

CC = cc
CXX = c++
CFLAGS = -O2 -g
PREFIX = /usr/local
DESTDIR =
-include config.mk

WARN = -Wall -Wextra -Wpedantic -Wconversion -Wshadow
SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LIBS = -lbearssl
SANDBOX_LIBS = -lwebsockets -lssl -lcrypto -lcjson -ledit
BOTS = build/quick_start build/echo_bot build/slash_commands build/post build/history build/follow \
	build/alert build/tiny build/modal build/download build/threads build/loops/epoll
# These need another library or a C++ compiler.
GUESTS = build/loops/libuv build/loops/glib build/mqtt_bridge build/karma
TESTS = build/test/json build/test/http build/test/ws build/test/random build/test/session \
	build/test/reconnect build/test/webapi build/test/requests build/test/socket_mode \
	build/test/handover build/test/loops build/test/lookup build/test/sandbox build/test/proxy \
	build/test/tls build/test/faults build/test/connect build/test/order
THREADS = build/test/threads build/test/loops-threads build/test/lookup-threads
# Variants: with poll(2) instead of epoll, as on systems other than Linux; without threads; with one
# connection for submitted requests; tests/lives.c over TLS.
OTHERS = build/test/session-poll build/test/reconnect-poll build/test/loops-poll \
	build/test/lookup-nothreads build/test/requests-onelane build/test/order-poll \
	build/test/lives-poll build/test/lives-tls

all: $(BOTS) build/ws_echo

help:
	@echo 'make demo       a bot and a local Slack (20 s); VERBOSE=1: every call, too'
	@echo 'make test       runs all tests that a change must pass, with sanitizers (15 min)'
	@echo 'make check      the same as make test'
	@echo 'make examples   builds the example bots, and the sandbox to try them with (1 min)'
	@echo 'make faults     cuts, resets, stalls, delays a session after every byte (15 min)'
	@echo 'make soak       1,000 sessions of RTM and of Socket Mode, ended by force (1 min)'
	@echo 'make fuzz       fuzzes every parser and the session, FUZZ_TIME seconds each'
	@echo 'make cross      the tests for armhf and s390x under qemu, the demo with musl (10 min)'
	@echo 'make router     a bot on a MIPS machine with 64 MB of RAM, under qemu (1 min)'
	@echo 'make bench      instructions, heap, and times compared with other clients (10 min)'
	@echo 'make size       code size by section and feature; size of a static bot (1 min)'
	@echo 'make lint       clang-tidy, cppcheck, gcc -fanalyzer (3 min)'
	@echo 'make interop    bots, Web API and sandbox against Node.js and Go (5 min)'
	@echo 'make valgrind   the demo and DNS lookups under valgrind (1 min)'
	@echo 'make deps       installs the packages for all targets (each target installs its own)'
	@echo 'make dist       makes the tarball of a release'
	@echo 'make install    rtm.h, rtm.pc, CMake files to $$DESTDIR$$PREFIX; uninstall removes them'
	@echo 'make clean      removes build/'

# The targets of `make help` install the packages that they need, after printing the command. A rule
# for a file only prints what is missing and the command that installs it.
INSTALL = CC='$(CC)' CXX='$(CXX)' sh tests/deps.sh
FILES = $(MAKE) --no-print-directory

deps:
	@$(INSTALL) $(THINGS)
	@echo 'all packages are installed'

THINGS = build libuv glib mqtt c++ sandbox test install size interop valgrind strace bench fuzz lint cross \
	router
build/.build build/.libuv build/.glib build/.mqtt build/.c++ build/.sandbox build/.test: tests/deps.sh
	@mkdir -p build
	@thing=$(@F); CC='$(CC)' sh tests/deps.sh --check $${thing#.}
	@touch $@

# Examples ----------------------------------------------------------------------------------------

EXAMPLES = $(BOTS) $(GUESTS) build/sandbox build/certs/ca.pem

examples:
	@$(INSTALL) build libuv glib mqtt c++ sandbox
	@$(FILES) $(EXAMPLES)

$(BOTS): rtm.h build/.build
	@mkdir -p build/loops
	set --; case $(@F) in threads) set -- -pthread ;; esac; \
	$(CC) -std=c99 $(WARN) $(CFLAGS) $(@:build/%=examples/%).c -o $@ "$$@" $(LIBS)
build/quick_start: examples/quick_start.c
build/echo_bot: examples/echo_bot.c
build/slash_commands: examples/slash_commands.c
build/post: examples/post.c
build/history: examples/history.c
build/follow: examples/follow.c
build/alert: examples/alert.c
build/tiny: examples/tiny.c examples/tiny_roots.h
build/modal: examples/modal.c
build/download: examples/download.c
build/threads: examples/threads.c
build/loops/epoll: examples/loops/epoll.c

build/loops/libuv: examples/loops/libuv.c rtm.h build/.libuv
	@mkdir -p build/loops
	$(CC) -std=c99 $(WARN) $(CFLAGS) examples/loops/libuv.c -o $@ $(LIBS) -luv

build/loops/glib: examples/loops/glib.c rtm.h build/.glib
	@mkdir -p build/loops
	$(CC) -std=c99 $(WARN) $(CFLAGS) $$(pkg-config --cflags glib-2.0) examples/loops/glib.c -o $@ \
		$(LIBS) $$(pkg-config --libs glib-2.0)

build/mqtt_bridge: examples/mqtt_bridge.c rtm.h build/.mqtt
	$(CC) -std=c99 $(WARN) $(CFLAGS) examples/mqtt_bridge.c -o $@ $(LIBS) -lmosquitto -lpthread

build/karma: examples/karma.cc rtm.h build/.build build/.c++
	$(CC) -std=c99 $(WARN) $(CFLAGS) -c -x c -DRTM_IMPLEMENTATION rtm.h -o build/rtm.o
	$(CXX) -std=c++17 $(WARN) $(CFLAGS) -I. examples/karma.cc build/rtm.o -o $@ $(LIBS)

SANDBOX = examples/sandbox/main.c examples/sandbox/server.c examples/sandbox/conn.c \
	examples/sandbox/api.c examples/sandbox/methods.c examples/sandbox/workspace.c \
	examples/sandbox/views.c examples/sandbox/files.c \
	examples/sandbox/realtime.c examples/sandbox/socket_mode.c examples/sandbox/console.c \
	examples/sandbox/text.c examples/sandbox/terminal.c

build/sandbox: $(SANDBOX) examples/sandbox/sandbox.h build/.sandbox
	$(CC) -std=gnu99 $(WARN) $(CFLAGS) $(SANDBOX) -o $@ $(SANDBOX_LIBS)

build/certs/ca.pem: tests/certs.sh build/.sandbox
	@sh tests/certs.sh build/certs

demo:
	@$(INSTALL) build sandbox
	@$(FILES) build/echo_bot build/sandbox build/certs/ca.pem
	@sh examples/demo.sh $(if $(VERBOSE),--verbose) build

valgrind:
	@$(INSTALL) build sandbox test valgrind
	@$(FILES) build/echo_bot build/sandbox build/certs/ca.pem
	@BOT='valgrind -q --leak-check=full --show-leak-kinds=all --error-exitcode=9' \
		sh examples/demo.sh build
	@mkdir -p build/test
	@$(CC) -std=c99 $(WARN) -O1 -g -I. tests/lookup.c -o build/test/lookup-plain -lcmocka $(LIBS) \
		-lpthread
	@valgrind -q --leak-check=full --show-leak-kinds=all --error-exitcode=9 \
		build/test/lookup-plain >build/test/lookup-plain.log 2>&1 || \
		{ cat build/test/lookup-plain.log; exit 1; }
	@echo 'valgrind: no error, no leak'
	@CC='$(CC)' sh tests/linear.sh

# Tests -------------------------------------------------------------------------------------------

FUZZ = http ws json walk tame url config pem session

# If a part fails, the others still run; at the end all failed parts are listed.
FAILED = echo >>build/test/failed

test:
	@$(INSTALL) build libuv glib mqtt c++ sandbox test install
	@$(FILES) $(EXAMPLES) $(TESTS) $(THREADS) $(OTHERS) build/test/lives build/test/json_peer \
		build/test/outages build/ws_echo
	@rm -f build/test/messages build/test/failed
	@RTM_MESSAGES=build/test/messages sh tests/run.sh $(TESTS) $(THREADS) $(OTHERS) \
		build/test/lives || $(FAILED) 'the test programs'
	@python3 tests/errors.py build/test/messages || $(FAILED) 'tests/errors.py'
	@$(FILES) -s replay || $(FAILED) 'replay'
	@python3 tests/json_peer.py build/test/json_peer 1 || $(FAILED) 'tests/json_peer.py 1'
	@python3 tests/json_peer.py build/test/json_peer 7 || $(FAILED) 'tests/json_peer.py 7'
	@python3 tests/ws_peer.py build/ws_echo || $(FAILED) 'tests/ws_peer.py'
	@python3 tests/outages.py build/test/outages || $(FAILED) 'tests/outages.py'
	@python3 tests/sandbox.py build || $(FAILED) 'tests/sandbox.py'
	@sh tests/terminal.sh build || $(FAILED) 'tests/terminal.sh'
	@CC='$(CC)' sh tests/compile/run.sh || $(FAILED) 'tests/compile/run.sh'
	@python3 tests/stack.py $(STACK_CC) || $(FAILED) 'tests/stack.py'
	@sh tests/parity.sh || $(FAILED) 'tests/parity.sh'
	@sh tests/examples.sh build || $(FAILED) 'tests/examples.sh'
	@sh tests/texts.sh || $(FAILED) 'tests/texts.sh'
	@sh tests/missing.sh || $(FAILED) 'tests/missing.sh'
	@python3 tests/readme.py build || $(FAILED) 'tests/readme.py'
	@python3 tests/picture.py build || $(FAILED) 'tests/picture.py'
	@python3 tests/states.py || $(FAILED) 'tests/states.py'
	@sh tests/install.sh || $(FAILED) 'tests/install.sh'
	@[ ! -e build/test/failed ] || { echo 'FAIL make test:'; cat build/test/failed; exit 1; }

check: test

# Only gcc can print its call graph.
STACK_CC = gcc
HEADERS = tests/support.h tests/fake_clock.h tests/counted_memory.h tests/seen_messages.h \
	tests/server.h tests/unresponsive_server.h tests/same_thread_server.h tests/sandbox_process.h \
	tests/sockets.h tests/states.h tests/ca.h
TEST_CC = $(CC) -std=c99 $(WARN) -O1 -g $(SANITIZE) -I.

# -lssl is for the servers of tests/tls.c, -luv for tests/loops.c; rtm.h does not need them.
# tests/requests.c counts the basic blocks that are executed.
$(TESTS) build/test/json_peer build/test/outages: $(HEADERS) rtm.h build/.test
	@mkdir -p build/test
	set --; case $(@F) in requests) set -- -fsanitize-coverage=trace-pc ;; esac; \
	$(TEST_CC) "$$@" tests/$(@F).c -o $@ -lcmocka $(LIBS) -lssl -lcrypto -luv -lpthread
build/test/json: tests/json.c
build/test/json_peer: tests/json_peer.c
build/test/outages: tests/outages.c
build/test/http: tests/http.c
build/test/ws: tests/ws.c
build/test/random: tests/random.c
build/test/session: tests/session.c
build/test/reconnect: tests/reconnect.c
build/test/webapi: tests/webapi.c
build/test/requests: tests/requests.c
build/test/socket_mode: tests/socket_mode.c
build/test/handover: tests/handover.c
build/test/loops: tests/loops.c
build/test/lookup: tests/lookup.c
build/test/sandbox: tests/sandbox.c
build/test/connect: tests/connect.c
build/test/proxy: tests/proxy.c
build/test/tls: tests/tls.c tests/tls_certs.sh
build/test/faults: tests/faults.c
build/test/order: tests/order.c

# Random simulated lives of a client: `build/test/lives SEED COUNT` runs COUNT of them. LIVES="-m32"
# builds it for 32 bits, LIVES="-DRTMI_EPOLL=0" with poll(2) instead of epoll.
build/test/lives: tests/lives.c tests/lives_net.h tests/net_calls.h tests/lives_tls.h \
		tests/fake_clock.h tests/counted_memory.h tests/states.h rtm.h build/.test
	@mkdir -p build/test
	$(TEST_CC) $(LIVES) tests/lives.c -o $@ $(LIBS)

# The thread sanitizer cannot be combined with others.
$(THREADS): tests/threads.c tests/loops.c tests/lookup.c $(HEADERS) rtm.h build/.test
	@mkdir -p build/test
	file=$(@F); $(CC) -std=c99 $(WARN) -O1 -g -fsanitize=thread -I. tests/$${file%-threads}.c \
		-o $@ -lcmocka $(LIBS) -luv -lpthread

$(OTHERS): tests/session.c tests/reconnect.c tests/loops.c tests/lookup.c tests/requests.c \
		tests/order.c tests/lives.c tests/lives_net.h tests/net_calls.h tests/lives_tls.h $(HEADERS) \
		rtm.h build/.test
	@mkdir -p build/test
	file=$(@F); case $$file in *-poll) set -- -DRTMI_EPOLL=0 ;; *-nothreads) set -- -DRTM_NO_THREADS ;; \
	*-tls) set -- -DLIVES_TLS ;; *) set -- -DRTM_ONE_LANE -fsanitize-coverage=trace-pc ;; esac; \
	$(TEST_CC) "$$@" tests/$${file%-*}.c -o $@ -lcmocka $(LIBS) -lpthread

# Runs the fuzzing corpora, with any compiler.
replay:
	@$(INSTALL) build test
	@mkdir -p build/test
	@for t in $(FUZZ); do \
		$(TEST_CC) tests/fuzz/$$t.c tests/fuzz/replay.c -o build/test/replay-$$t $(LIBS) && \
		build/test/replay-$$t tests/fuzz/corpus/$$t 2>build/test/replay.log && \
		echo "PASS replay $$t" || { cat build/test/replay.log; exit 1; }; done

fuzz:
	@$(INSTALL) build fuzz
	@sh tests/fuzz/run.sh

build/ws_echo: tests/ws_echo.c rtm.h build/.build
	$(CC) -std=c99 $(WARN) $(CFLAGS) -I. tests/ws_echo.c -o $@ $(LIBS)

faults:
	@$(INSTALL) build sandbox test
	@$(FILES) build/test/faults build/sandbox build/certs/ca.pem
	@FAULTS_ALL=1 build/test/faults

soak:
	@$(INSTALL) build sandbox test strace
	@$(FILES) build/test/soak build/test/idle build/sandbox build/certs/ca.pem
	@build/test/soak
	@sh tests/strace.sh

build/test/soak build/test/idle: tests/soak.c tests/idle.c $(HEADERS) rtm.h build/.test
	@mkdir -p build/test
	$(CC) -std=c99 $(WARN) $(CFLAGS) -I. tests/$(@F).c -o $@ -lcmocka $(LIBS)

cross:
	@$(INSTALL) build sandbox test cross
	@$(FILES) build/sandbox build/certs/ca.pem
	@sh tests/cross.sh

router:
	@$(INSTALL) build sandbox router
	@$(FILES) build/sandbox build/certs/ca.pem
	@sh tests/router.sh

bench:
	@$(INSTALL) build sandbox bench
	@sh tests/bench/run.sh

size:
	@$(INSTALL) build size
	@mkdir -p build/size
	@sh tests/size.sh

lint:
	@$(INSTALL) build sandbox test lint
	@mkdir -p build
	@sh tests/lint.sh

interop:
	@$(INSTALL) build sandbox interop
	@$(FILES) $(BOTS) build/interop/bodies build/interop/calls build/interop/downloads \
		build/interop/socket_mode build/sandbox build/certs/ca.pem
	@sh tests/interop/run.sh

build/interop/bodies build/interop/calls build/interop/downloads build/interop/socket_mode: \
		tests/interop/bodies.c tests/interop/calls.c tests/interop/downloads.c \
		tests/interop/socket_mode.c rtm.h build/.build
	@mkdir -p build/interop
	$(CC) -std=c99 $(WARN) $(CFLAGS) -I. tests/interop/$(@F).c -o $@ $(LIBS)

# Install -----------------------------------------------------------------------------------------

VERSION_OF = sed -n 's/^\#define RTM_VERSION "\(.*\)"/\1/p' rtm.h
TO = $(DESTDIR)$(PREFIX)
INSTALLED = $(TO)/include/rtm.h $(TO)/lib/pkgconfig/rtm.pc $(TO)/lib/cmake/rtm/rtm-config.cmake \
	$(TO)/lib/cmake/rtm/rtm-config-version.cmake $(TO)/share/licenses/rtm/LICENSE

install:
	mkdir -p $(TO)/include $(TO)/lib/pkgconfig $(TO)/lib/cmake/rtm $(TO)/share/licenses/rtm
	cp rtm.h $(TO)/include/rtm.h
	cp LICENSE $(TO)/share/licenses/rtm/LICENSE
	printf '%s\n' 'prefix=$(PREFIX)' 'Name: rtm' 'Description: Slack client in one C header' \
		"Version: $$($(VERSION_OF))" 'Cflags: -I$${prefix}/include' 'Libs: -lbearssl' \
		>$(TO)/lib/pkgconfig/rtm.pc
	printf '%s\n' 'get_filename_component(rtm_prefix "$${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)' \
		'if(NOT TARGET rtm::rtm)' 'add_library(rtm::rtm INTERFACE IMPORTED)' \
		'set_target_properties(rtm::rtm PROPERTIES' \
		'INTERFACE_INCLUDE_DIRECTORIES "$${rtm_prefix}/include"' \
		'INTERFACE_LINK_LIBRARIES bearssl)' 'endif()' >$(TO)/lib/cmake/rtm/rtm-config.cmake
	printf '%s\n' "set(PACKAGE_VERSION $$($(VERSION_OF)))" \
		'if(PACKAGE_FIND_VERSION VERSION_LESS_EQUAL PACKAGE_VERSION)' \
		'set(PACKAGE_VERSION_COMPATIBLE TRUE)' 'endif()' \
		>$(TO)/lib/cmake/rtm/rtm-config-version.cmake
	chmod 644 $(INSTALLED)

# Also removes directories that are empty then.
uninstall:
	rm -f $(INSTALLED)
	for dir in include lib/pkgconfig lib/cmake/rtm lib/cmake lib share/licenses/rtm share/licenses share; do \
		rmdir "$(TO)/$$dir" 2>/dev/null || :; done; rmdir "$(TO)" 2>/dev/null || :

# The tarball of a release: the same bytes each time.
dist:
	@mkdir -p build
	@name=rtm.h-$$($(VERSION_OF)); git archive --prefix=$$name/ HEAD | gzip -9n >build/$$name.tar.gz && \
		cd build && sha256sum $$name.tar.gz | tee $$name.tar.gz.sha256

clean:
	rm -rf build

.PHONY: all help deps examples demo valgrind test check replay fuzz faults soak cross router bench size lint interop dist install uninstall clean
