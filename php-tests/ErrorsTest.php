<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\AbortedMultiExecException;
use ResilientRedis\ClientException;
use ResilientRedis\ConfigurationException;
use ResilientRedis\ConnectionException;
use ResilientRedis\Exception as ClientFailure;
use ResilientRedis\LostReplyException;
use ResilientRedis\NotSupportedException;
use ResilientRedis\ProtocolException;
use ResilientRedis\ReplyTimeoutException;
use ResilientRedis\Response\Error;
use ResilientRedis\Response\ErrorInterface;
use ResilientRedis\ServerException;
use ResilientRedis\TimeoutException;
use ResilientRedis\Transaction;
use Tests\Support\Ports;
use Tests\Support\RedisTestCase;
use Tests\Support\ScriptedServer;

/** What a program that was written for Predis finds in the exceptions: class, message, code and what they can be asked. */
final class ErrorsTest extends RedisTestCase
{
    private const REFUSED = 111;
    private const NO_FILE = 2;

    /** @return iterable<string, array{int}> */
    public static function protocols(): iterable
    {
        yield 'RESP2' => [2];
        yield 'RESP3' => [3];
    }

    public function test_a_refused_connection_has_the_words_and_the_number_of_the_system_and_the_address_in_brackets(): void
    {
        $port = Ports::free();
        $exception = self::thrown(ConnectionException::class, static fn () => self::tryingOnce("tcp://127.0.0.1:$port")->get('k'));
        self::assertSame(ConnectionException::class, $exception::class);
        self::assertStringStartsWith("Connection refused [tcp://127.0.0.1:$port] (", $exception->getMessage());
        self::assertSame(self::REFUSED, $exception->getCode());
        self::assertSame(
            ["127.0.0.1:$port", 'GET', 'dial', null],
            [$exception->getNode(), $exception->getCommand(), $exception->getPhase(), $exception->getPrevious()],
        );
    }

    public function test_an_address_of_ipv6_stands_in_brackets_of_its_own(): void
    {
        $port = Ports::free();
        $exception = self::thrown(ConnectionException::class, static fn () => self::tryingOnce("tcp://[::1]:$port")->get('k'));
        self::assertStringContainsString(" [tcp://[::1]:$port] (", $exception->getMessage());
        self::assertGreaterThan(0, $exception->getCode(), $exception->getMessage());
    }

    public function test_a_socket_file_that_is_not_there(): void
    {
        $exception = self::thrown(ConnectionException::class, static fn () => self::tryingOnce('unix:/nonexistent/redis.sock')->get('k'));
        self::assertStringStartsWith('No such file or directory [unix:/nonexistent/redis.sock] (', $exception->getMessage());
        self::assertSame(self::NO_FILE, $exception->getCode());
    }

    public function test_where_tries_go_on_until_a_limit_runs_out_the_code_is_that_of_the_last_obstacle(): void
    {
        $port = Ports::free();
        $redis = new ResilientRedis("tcp://127.0.0.1:$port", ['command_timeout' => 0.2]);
        $exception = self::thrown(TimeoutException::class, static fn () => $redis->get('k'));
        self::assertMatchesRegularExpression("~Connection refused .*\\[tcp://127\\.0\\.0\\.1:$port\\]~", $exception->getMessage());
        self::assertSame([self::REFUSED, 'command_timeout'], [$exception->getCode(), $exception->getLimit()]);
    }

    public function test_a_connect_that_says_why_says_it_in_the_same_way(): void
    {
        $port = Ports::free();
        $exception = self::thrown(ConnectionException::class, static fn () => self::tryingOnce("tcp://127.0.0.1:$port")->connect());
        self::assertStringStartsWith("Connection refused [tcp://127.0.0.1:$port] (connect, ", $exception->getMessage());
        self::assertSame(self::REFUSED, $exception->getCode());
    }

    public function test_pipelines_and_transactions_say_it_in_the_same_way(): void
    {
        $port = Ports::free();
        $redis = self::tryingOnce("tcp://127.0.0.1:$port");
        $calls = [
            static fn () => $redis->pipeline()->set('k', 'v')->get('k')->execute(),
            static fn () => $redis->transaction()->set('k', 'v')->execute(),
            static fn () => $redis->executeRaw(['GET', 'k']),
            static fn () => $redis->pubSubLoop(['subscribe' => 'news'])->current(),
        ];
        foreach ($calls as $number => $call) {
            $exception = self::thrown(ConnectionException::class, $call);
            self::assertStringContainsString("Connection refused [tcp://127.0.0.1:$port] (", $exception->getMessage(), "call $number");
            self::assertSame(self::REFUSED, $exception->getCode(), "call $number");
        }
    }

    /** @dataProvider protocols */
    public function test_where_nobody_is_primary_it_is_an_exception_of_the_connection(int $protocol): void
    {
        $set = $this->replicaSet(1);
        $set->primary()->kill();
        $replica = $set->replica()->endpoint();
        $redis = new ResilientRedis([$replica, $set->primary()->endpoint()], ['retry' => false, 'protocol' => $protocol]);
        $exception = self::thrown(ConnectionException::class, static fn () => $redis->set('k', 'v'));
        self::assertSame('SET', $exception->getCommand());
        self::assertMatchesRegularExpression('~ \[tcp://127\.0\.0\.1:\d+\] \(SET: it was not applied~', $exception->getMessage());
    }

    public function test_neither_user_nor_password_are_in_what_an_exception_says(): void
    {
        $port = Ports::free();
        foreach (["redis://hugo:hunter2@127.0.0.1:$port", "tcp://127.0.0.1:$port?username=hugo&password=hunter2"] as $uri) {
            $exception = self::thrown(ConnectionException::class, static fn () => self::tryingOnce($uri)->get('k'));
            $said = $exception->getMessage() . $exception->getNode();
            self::assertStringContainsString("127.0.0.1:$port", $said);
            self::assertStringNotContainsString('hugo', $said);
            self::assertStringNotContainsString('hunter2', $said);
        }
    }

    /** @dataProvider protocols */
    public function test_an_error_reply_is_a_server_exception_with_its_type(int $protocol): void
    {
        $redis = self::client(['protocol' => $protocol]);
        $redis->set('text', 'x');
        $exception = self::thrown(ServerException::class, static fn () => $redis->lpush('text', 'y'));
        self::assertInstanceOf(ErrorInterface::class, $exception);
        self::assertInstanceOf(ClientFailure::class, $exception);
        self::assertInstanceOf(\RuntimeException::class, $exception);
        self::assertSame('WRONGTYPE Operation against a key holding the wrong kind of value', $exception->getMessage());
        self::assertSame(['WRONGTYPE', 0], [$exception->getErrorType(), $exception->getCode()]);
        $response = $exception->toErrorResponse();
        self::assertInstanceOf(Error::class, $response);
        self::assertSame([$exception->getMessage(), 'WRONGTYPE'], [$response->getMessage(), $response->getErrorType()]);

        $unknown = self::thrown(ServerException::class, static fn () => $redis->nosuchcommand());
        self::assertSame('ERR', $unknown->getErrorType());
    }

    /** @dataProvider protocols */
    public function test_without_exceptions_the_same_error_is_a_value(int $protocol): void
    {
        $redis = self::client(['protocol' => $protocol, 'exceptions' => false]);
        $redis->set('text', 'x');
        $error = $redis->lpush('text', 'y');
        self::assertInstanceOf(Error::class, $error);
        self::assertInstanceOf(ErrorInterface::class, $error);
        self::assertSame('WRONGTYPE', $error->getErrorType());
        self::assertSame($error->getMessage(), (string) $error);
        self::assertStringStartsWith('WRONGTYPE ', (string) $error);
        self::thrown(ConnectionException::class, static fn () => self::tryingOnce('tcp://127.0.0.1:' . Ports::free(), ['exceptions' => false])->get('k'));
    }

    /** @dataProvider protocols */
    public function test_a_connection_that_is_closed_after_a_command_was_sent(int $protocol): void
    {
        $proxy = $this->stoppedAtTheEnd(ScriptedServer::before(self::shared(), 'INCR', 'lose'));
        $redis = new ResilientRedis($proxy->endpoint(), ['protocol' => $protocol]);
        $exception = self::thrown(LostReplyException::class, static fn () => $redis->incr('n'));
        self::assertInstanceOf(ConnectionException::class, $exception);
        self::assertStringContainsString(' [' . $proxy->endpoint() . '] (INCR', $exception->getMessage());
        self::assertSame(0, $exception->getCode(), 'a server that closes leaves no number');
    }

    /** @dataProvider protocols */
    public function test_a_reply_that_does_not_come_is_a_timeout_with_the_address(int $protocol): void
    {
        $proxy = $this->stoppedAtTheEnd(ScriptedServer::before(self::shared(), 'INCR', 'swallow'));
        $redis = new ResilientRedis($proxy->endpoint(), ['protocol' => $protocol, 'read_write_timeout' => 0.2]);
        $exception = self::thrown(ReplyTimeoutException::class, static fn () => $redis->incr('n'));
        self::assertInstanceOf(TimeoutException::class, $exception);
        self::assertInstanceOf(ConnectionException::class, $exception);
        self::assertStringStartsWith('read_write_timeout ran out [' . $proxy->endpoint() . '] (', $exception->getMessage());
        self::assertSame([0, 'read_write_timeout'], [$exception->getCode(), $exception->getLimit()]);
    }

    /** @dataProvider protocols */
    public function test_a_password_that_is_wrong_is_an_exception_of_the_connection(int $protocol): void
    {
        $server = $this->server(['requirepass' => 'right']);
        $redis = new ResilientRedis($server->endpoint(), ['password' => 'wrong', 'protocol' => $protocol]);
        $exception = self::thrown(ConnectionException::class, static fn () => $redis->ping());
        self::assertMatchesRegularExpression('~WRONGPASS .* \[' . preg_quote($server->endpoint()) . '\]~', $exception->getMessage());
        self::assertSame([0, 'auth'], [$exception->getCode(), $exception->getPhase()]);
    }

    public function test_a_database_that_the_server_has_not_is_an_exception_of_the_connection(): void
    {
        $exception = self::thrown(ConnectionException::class, static fn () => self::client(['database' => 4000])->ping());
        self::assertMatchesRegularExpression('~DB index .* \[' . preg_quote(self::shared()->endpoint()) . '\]~', $exception->getMessage());
    }

    /** @dataProvider protocols */
    public function test_bytes_that_are_no_reply(int $protocol): void
    {
        $proxy = $this->stoppedAtTheEnd(ScriptedServer::before(self::shared(), 'GET', 'garbage', 9));
        $redis = new ResilientRedis($proxy->endpoint(), ['protocol' => $protocol, 'retry' => false]);
        $exception = self::thrown(ProtocolException::class, static fn () => $redis->get('k'));
        self::assertInstanceOf(ClientFailure::class, $exception);
        self::assertStringContainsString(' [' . $proxy->endpoint() . '] (', $exception->getMessage());
    }

    public function test_misuse_and_what_is_not_possible_are_found_before_anything_is_sent(): void
    {
        $redis = self::tryingOnce('tcp://127.0.0.1:' . Ports::free());
        $misuse = self::thrown(ClientException::class, static fn () => $redis->transaction()->execute(static fn ($transaction) => $transaction->execute()));
        self::assertSame([ClientException::class, null, 0], [$misuse::class, $misuse->getNode(), $misuse->getCode()]);
        $shape = self::thrown(ClientException::class, static fn () => $redis->lmpop(['a'], 'up'));
        self::assertSame(ClientException::class, $shape::class, 'where Predis has an UnexpectedValueException');
        $wrong = self::thrown(ConfigurationException::class, static fn () => $redis->getClientBy('command', 'get'));
        self::assertInstanceOf(\InvalidArgumentException::class, $wrong);
        $impossible = self::thrown(NotSupportedException::class, static fn () => self::client()->getClientBy('slot', 1));
        self::assertInstanceOf(ClientException::class, $impossible);
    }

    public function test_a_wrong_option_is_an_invalid_argument(): void
    {
        $exception = self::thrown(\InvalidArgumentException::class, static fn () => new ResilientRedis(null, ['timeout' => 'soon']));
        self::assertSame(ConfigurationException::class, $exception::class);
    }

    /** @dataProvider protocols */
    public function test_a_transaction_that_came_to_nothing_can_be_asked_for(int $protocol): void
    {
        $redis = self::client(['protocol' => $protocol]);
        $mine = null;
        $changed = static function (Transaction $transaction) use (&$mine): void {
            $mine = $transaction;
            self::shared()->command('INCR', 'w');
            $transaction->get('w');
        };
        $exception = self::thrown(AbortedMultiExecException::class, static fn () => $redis->transaction(['watch' => 'w'], $changed));
        self::assertInstanceOf(ClientException::class, $exception);
        self::assertSame($mine, $exception->getTransaction());
        self::assertSame(0, $exception->getCode());

        $transaction = $redis->transaction();
        $refused = self::thrown(AbortedMultiExecException::class, static fn () => $transaction->set('k', 'v')->get()->execute());
        self::assertSame($transaction, $refused->getTransaction(), 'a command could not be queued');
        $error = self::thrown(ServerException::class, static fn () => $redis->transaction()->set('text', 'x')->lpush('text', 'y')->execute());
        self::assertSame(['WRONGTYPE', 1], [$error->getErrorType(), $error->getIndex()]);
    }

    public function test_an_aborted_pipeline_has_no_transaction(): void
    {
        $redis = self::client();
        $exception = self::thrown(ClientException::class, static function () use ($redis): void {
            $redis->watch('w');
            self::shared()->command('INCR', 'w');
            $redis->pipeline(['atomic' => true], static fn ($pipeline) => $pipeline->get('w'));
        });
        self::assertInstanceOf(AbortedMultiExecException::class, $exception);
        self::assertNull($exception->getTransaction());
    }

    public function test_a_list_where_one_value_stands_is_refused_before_anything_is_sent(): void
    {
        $redis = self::tryingOnce('tcp://127.0.0.1:' . Ports::free());
        foreach ([
            'SET: an array of 2 was given where one' => static fn () => $redis->set('k', ['a', 'b']),
            'SET: an array of 2 was given' => static fn () => $redis->set('k', ['a', 'NX']),
            'GETSET: arrays stand for their elements, which makes 3 arguments here; the command takes 2' => static fn () => $redis->getset('k', ['a', 'b']),
            'SETEX: arrays stand for' => static fn () => $redis->setex('k', 10, ['a', 'b']),
            'APPEND: arrays stand for' => static fn () => $redis->pipeline()->append('k', []),
        ] as $text => $call) {
            $exception = self::thrown(ClientException::class, $call);
            self::assertStringStartsWith($text, $exception->getMessage());
        }
    }

    public function test_an_empty_host_is_not_this_machine(): void
    {
        foreach (['tcp://', 'tcp://:6379', ':6379'] as $uri) {
            $exception = self::thrown(ConfigurationException::class, static fn () => new ResilientRedis($uri));
            self::assertStringContainsString("given string '$uri'", $exception->getMessage());
            self::assertStringContainsString('tcp://127.0.0.1:6379', $exception->getMessage(), 'what is accepted');
        }
    }

    /** @dataProvider protocols */
    public function test_a_password_that_the_server_does_not_ask_for_is_no_obstacle(int $protocol): void
    {
        self::assertSame('PONG', self::client(['password' => 'early', 'protocol' => $protocol])->ping());
        $exception = self::thrown(ConnectionException::class, static fn () => self::client(['username' => 'nobody', 'password' => 'early', 'protocol' => $protocol])->ping());
        self::assertStringContainsString('WRONGPASS', $exception->getMessage());
    }

    public function test_an_error_that_a_subclass_makes_up_keeps_no_memory(): void
    {
        $error = new class () extends Error {
            public function __construct()
            {
                unset($this->message);
            }

            public function __get(string $name): string
            {
                return 'MADE up ' . str_repeat('x', 10_000);
            }
        };
        self::assertSame('MADE', $error->getErrorType());
        $before = memory_get_usage();
        for ($round = 0; $round < 100; $round++) {
            self::assertSame(10_008, strlen($error->getMessage()));
            self::assertSame(4, strlen($error->getErrorType()));
        }
        self::assertLessThan(200_000, memory_get_usage() - $before, 'bytes kept of 2,000,000');
    }

    /** @param array<string, mixed> $options */
    private static function tryingOnce(string $uri, array $options = []): ResilientRedis
    {
        return new ResilientRedis($uri, ['retry' => false, 'breaker_after' => 60.0] + $options);
    }
}
