<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ConnectionException;
use ResilientRedis\OutcomeUnknown;
use ResilientRedis\ProtocolException;
use ResilientRedis\ReplyTimeoutException;
use ResilientRedis\TimeoutException;
use Tests\Support\Ports;
use Tests\Support\RedisTestCase;
use Tests\Support\ScriptedServer;
use Tests\Support\Wait;

/** Servers that are not there, do not answer or speak no RESP: a typed exception in time, and the process lives on. */
final class UnreachableTest extends RedisTestCase
{
    private const DEADLINE = 0.6;

    /** What may come on top: the machine may be busy. */
    private const GRACE = 0.4;

    public function test_nobody_listens(): void
    {
        $port = Ports::free();
        $exception = $this->failure("tcp://127.0.0.1:$port", ConnectionException::class, ['dial']);
        self::assertSame("127.0.0.1:$port", $exception->getNode());
        self::assertStringContainsStringIgnoringCase('refused', $exception->getMessage());
    }

    public function test_no_socket_file(): void
    {
        $this->failure('unix:/nonexistent/redis.sock', ConnectionException::class, ['dial']);
    }

    public function test_a_name_that_nobody_knows(): void
    {
        $exception = $this->failure('tcp://redis.invalid:6379', ConnectionException::class, ['resolve']);
        self::assertStringContainsString('redis.invalid', $exception->getMessage() . $exception->getNode());
    }

    public function test_nobody_of_a_list_listens(): void
    {
        $this->failure(['tcp://127.0.0.1:' . Ports::free(), 'tcp://127.0.0.1:' . Ports::free()], ConnectionException::class, ['dial']);
    }

    /**
     * @dataProvider misbehaviour
     * @param class-string<\Throwable> $class
     */
    public function test_a_server_that_misbehaves_before_it_lets_anybody_in(string $mode, string $class): void
    {
        $server = $this->stoppedAtTheEnd(ScriptedServer::misbehaving($mode));
        $exception = $this->failure($server->endpoint(), $class, ['auth', 'dial']);
        self::assertSame($server->address(), $exception->getNode());
        self::assertGreaterThan(0, $server->connections());
    }

    /** @return iterable<string, array{string, class-string<\Throwable>}> */
    public static function misbehaviour(): iterable
    {
        yield 'it accepts and is silent' => ['silent', TimeoutException::class];
        yield 'it closes at once' => ['close-at-once', ConnectionException::class];
        yield 'it closes when something came' => ['close-after-request', ConnectionException::class];
        yield 'it speaks something else' => ['garbage', ProtocolException::class];
        yield 'it stops in the middle of a reply' => ['half', TimeoutException::class];
    }

    /**
     * @dataProvider faultsUnderACommand
     * @param class-string<\Throwable> $class
     */
    public function test_a_server_that_misbehaves_under_a_command(string $fault, string $class, bool $limitRanOut): void
    {
        self::shared()->command('SET', 'n', 41);
        $proxy = $this->stoppedAtTheEnd(ScriptedServer::before(self::shared(), 'INCR', $fault, 1_000));
        $redis = new ResilientRedis($proxy->endpoint(), ['timeout' => 0.3, 'read_write_timeout' => 0.3, 'command_timeout' => self::DEADLINE]);
        $redis->ping();
        $start = Wait::now();
        $exception = self::thrown($class, static fn () => $redis->incr('n'));
        $took = Wait::now() - $start;

        $seen = sprintf('%s after %.3f s: %s', $exception::class, $took, $exception->getMessage());
        self::assertSame(['INCR', $proxy->address(), 'read'], [$exception->getCommand(), $exception->getNode(), $exception->getPhase()], $seen);
        self::assertLessThan(self::DEADLINE + self::GRACE, $took, $seen);
        self::assertSame(1, $proxy->seen('INCR'), 'how often INCR was sent');
        if ($limitRanOut) {
            self::assertSame('read_write_timeout', $exception->getLimit(), $seen);
        }
        self::assertSame('42', $redis->get('n'), 'the same client goes on');
    }

    /** @return iterable<string, array{string, class-string<\Throwable>, bool}> */
    public static function faultsUnderACommand(): iterable
    {
        yield 'no reply' => ['swallow', ReplyTimeoutException::class, true];
        yield 'half a reply, then nothing' => ['half', ReplyTimeoutException::class, true];
        yield 'half a reply, then the end' => ['half-close', OutcomeUnknown::class, false];
        yield 'no reply, then the end' => ['lose', OutcomeUnknown::class, false];
        yield 'something that is no reply' => ['garbage', ResilientRedis\Exception::class, false];
    }

    public function test_a_server_that_takes_no_more_of_a_large_value(): void
    {
        $server = $this->server();
        $redis = new ResilientRedis($server->endpoint(), ['read_write_timeout' => 0.4, 'command_timeout' => 5.0, 'retry' => false]);
        $redis->ping();
        $server->freeze();
        $value = str_repeat('x', 64 << 20);
        $start = Wait::now();
        $exception = self::thrown(TimeoutException::class, static fn () => $redis->set('k', $value));
        self::assertSame(['read_write_timeout', 'write'], [$exception->getLimit(), $exception->getPhase()], $exception->getMessage());
        self::assertNotInstanceOf(OutcomeUnknown::class, $exception, 'the server cannot have had all of it');
        self::assertLessThan(0.4 + self::GRACE, Wait::now() - $start);
        $server->thaw();
        self::assertNull($redis->get('k'));
    }

    public function test_a_wrong_password_is_said_at_once_and_is_not_shown(): void
    {
        $server = $this->server(['requirepass' => 'right']);
        $start = Wait::now();
        $redis = new ResilientRedis($server->endpoint(), ['password' => 'hunter2', 'command_timeout' => 5.0]);
        $exception = self::thrown(ConnectionException::class, static fn () => $redis->ping());
        self::assertLessThan(1.0, Wait::now() - $start, 'seconds: trying again would change nothing');
        self::assertSame('auth', $exception->getPhase());
        self::assertStringContainsString('WRONGPASS', $exception->getMessage());
        self::assertStringNotContainsString('hunter2', (string) $exception);
        self::assertSame('PONG', (new ResilientRedis($server->endpoint(), ['password' => 'right']))->ping());
    }

    public function test_without_retries_the_first_failure_is_the_last(): void
    {
        $redis = new ResilientRedis('tcp://127.0.0.1:' . Ports::free(), ['retry' => false, 'command_timeout' => 5.0]);
        $start = Wait::now();
        $exception = self::thrown(ConnectionException::class, static fn () => $redis->ping());
        self::assertLessThan(1.0, Wait::now() - $start, 'seconds');
        self::assertSame(1, $exception->getAttempts());
    }

    /**
     * @param string|list<string> $endpoint
     * @param class-string<\Throwable> $class
     * @param list<string> $phases
     */
    private function failure(string|array $endpoint, string $class, array $phases): \Throwable
    {
        $redis = new ResilientRedis($endpoint, ['timeout' => 0.3, 'command_timeout' => self::DEADLINE]);
        $start = Wait::now();
        $exception = self::thrown($class, static fn () => $redis->incr('n'));
        $took = Wait::now() - $start;

        $seen = sprintf('%s (phase %s) after %.3f s: %s', $exception::class, $exception->getPhase(), $took, $exception->getMessage());
        self::assertNotInstanceOf(OutcomeUnknown::class, $exception, "nothing was sent; $seen");
        self::assertContains($exception->getPhase(), $phases, $seen);
        self::assertLessThan(self::DEADLINE + self::GRACE, $took, $seen);
        self::assertEqualsWithDelta($took, $exception->getElapsed(), 0.1, $seen);
        self::assertGreaterThanOrEqual(1, $exception->getAttempts(), $seen);
        self::assertSame('INCR', $exception->getCommand(), $seen);
        if ($exception instanceof TimeoutException) {
            self::assertContains($exception->getLimit(), ['timeout', 'command_timeout'], $seen);
        }
        $good = self::client();
        self::assertSame('OK', $good->set('k', 'v'), 'the process goes on with a good server');
        self::assertSame('v', $good->get('k'));

        return $exception;
    }
}
