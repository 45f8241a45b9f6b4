<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ClientException;
use ResilientRedis\Command\Factory;
use ResilientRedis\Command\RawCommand;
use ResilientRedis\ConfigurationException;
use ResilientRedis\ConnectionException;
use ResilientRedis\Pipeline;
use ResilientRedis\ServerException;
use ResilientRedis\Transaction;
use Tests\Fixtures\Demanding;
use Tests\Fixtures\Exploding;
use Tests\Fixtures\Hidden;
use Tests\Fixtures\JsonGet;
use Tests\Fixtures\LoudGet;
use Tests\Fixtures\Meddling;
use Tests\Fixtures\Nameless;
use Tests\Fixtures\NoCommand;
use Tests\Fixtures\TwoParsers;
use Tests\Fixtures\Unfinished;
use Tests\Support\RedisTestCase;

require_once __DIR__ . '/Fixtures/commands/commands.php';

/** Command objects: of users' own classes, of createCommand(), and raw ones. */
final class CustomCommandsTest extends RedisTestCase
{
    /** @return iterable<string, array{int}> */
    public static function protocols(): iterable
    {
        yield 'RESP2' => [2];
        yield 'RESP3' => [3];
    }

    /** @dataProvider protocols */
    public function test_a_command_of_ones_own_is_a_method_in_any_case(int $protocol): void
    {
        $redis = self::client(['commands' => ['JsonGet' => JsonGet::class], 'protocol' => $protocol]);
        $redis->set('k', '{"a":[1,2]}');
        self::assertSame(['a' => [1, 2]], $redis->jsonget('k'));
        self::assertSame(['a' => [1, 2]], $redis->JSONGET('k'));
        self::assertNull($redis->jsonGet('none'));
        self::assertSame([['a' => [1, 2]], '{"a":[1,2]}'], $redis->pipeline(static fn (Pipeline $pipe) => $pipe->jsonget('k')->get('k')));
        self::assertSame(['OK', ['a' => [1, 2]]], $redis->transaction(static fn (Transaction $all) => $all->set('x', 1)->jsonget('k')));
        $copy = $redis->withOptions(['command_timeout' => 2]);
        self::assertSame(['a' => [1, 2]], $copy->jsonget('k'));
    }

    public function test_a_command_of_the_table_may_be_replaced_or_taken_away(): void
    {
        $redis = self::client(['commands' => ['get' => LoudGet::class, 'KEYS' => null]]);
        $redis->set('k', 'v');
        self::assertSame('<v>', $redis->get('k'));
        self::assertSame(['<v>', 1], $redis->pipeline(static fn (Pipeline $pipe) => $pipe->get('k')->exists('k')));
        self::assertSame(['<v>'], $redis->transaction(static fn (Transaction $all) => $all->get('k')));
        $before = self::shared()->counters();
        foreach (['keys' => ['*'], 'Keys' => ['*']] as $method => $arguments) {
            $exception = self::thrown(ClientException::class, static fn () => $redis->$method(...$arguments));
            self::assertStringContainsString('KEYS', $exception->getMessage());
        }
        self::thrown(ClientException::class, static fn () => $redis->pipeline()->keys('*'));
        self::thrown(ClientException::class, static fn () => $redis->createCommand('keys', ['*']));
        self::assertSame(0, self::shared()->counters()->since($before)->commands);
        self::assertSame('v', self::client()->get('k'), 'other clients have their own');
    }

    /** @dataProvider protocols */
    public function test_raw_leaves_words_and_replies_as_they_are(int $protocol): void
    {
        $redis = self::client(['commands' => 'raw', 'protocol' => $protocol]);
        self::assertSame(2, $redis->hset('h', 'a', 1, 'b', 2));
        $flat = ['a', '1', 'b', '2'];
        self::assertSame($protocol === 2 ? $flat : ['a' => '1', 'b' => '2'], $redis->hgetall('h'));
        self::assertStringContainsString('redis_version:', $redis->info('server'));
        self::assertSame($protocol === 2 ? [$flat] : [['a' => '1', 'b' => '2']], $redis->pipeline(static fn (Pipeline $pipe) => $pipe->hgetall('h')));
        self::assertTrue($redis->getCommandFactory()->supports('anything'));
    }

    public function test_the_option_is_an_array_a_callable_that_returns_one_or_a_name(): void
    {
        $given = null;
        $redis = self::client(['commands' => static function (object $options) use (&$given): array {
            $given = array_keys((array) $options);

            return ['loud' => LoudGet::class];
        }]);
        $redis->set('k', 'v');
        self::assertSame([['commands'], '<v>'], [$given, $redis->loud('k')]);
        foreach (['default', 'predis', '3.2', []] as $set) {
            self::assertSame('v', self::client(['commands' => $set])->get('k'));
        }
        $made = [static fn () => new NoCommand(), static fn () => null];
        foreach ([...$made, new NoCommand(), 'x', true, [LoudGet::class], ['loud' => 5], ['loud' => '']] as $wrong) {
            $exception = self::thrown(ConfigurationException::class, static fn () => self::client(['commands' => $wrong]));
            self::assertStringContainsString('commands', $exception->getMessage());
        }
        self::thrown(\DomainException::class, static fn () => self::client(['commands' => static fn () => throw new \DomainException()]));
    }

    public function test_a_client_is_constructed_once_whatever_the_callable_does(): void
    {
        $redis = (new \ReflectionClass(ResilientRedis::class))->newInstanceWithoutConstructor();
        $exception = self::thrown(ClientException::class, static fn () => $redis->__construct(self::shared()->endpoint(), ['commands' => static function () use ($redis): array {
            $redis->__construct(self::shared()->endpoint(), ['commands' => ['loud' => LoudGet::class]]);
            $redis->set('k', 'v');

            return ['loud' => null];
        }]));
        self::assertStringContainsString('constructed', $exception->getMessage());
        self::assertSame('<v>', $redis->loud('k'), 'the first one stays');
    }

    /** @dataProvider oddClasses */
    public function test_odd_classes_are_refused_when_they_are_used(string $class, string $thrown): void
    {
        $redis = self::client(['commands' => ['odd' => $class]]);
        $before = self::shared()->counters();
        self::thrown($thrown, static fn () => $redis->odd('k'));
        self::thrown($thrown, static fn () => $redis->pipeline()->odd('k'));
        self::thrown($thrown, static fn () => $redis->transaction()->odd('k'));
        self::assertSame(0, self::shared()->counters()->since($before)->commands);
        self::assertSame('PONG', $redis->ping());
        self::assertSame(0, Exploding::$destructed, 'what was never constructed is not destructed');
    }

    /** @return iterable<string, array{string, class-string<\Throwable>}> */
    public static function oddClasses(): iterable
    {
        yield 'a constructor that wants arguments' => [Demanding::class, \ArgumentCountError::class];
        yield 'a constructor that is private' => [Hidden::class, ConfigurationException::class];
        yield 'a constructor that throws' => [Exploding::class, \DomainException::class];
        yield 'an abstract class' => [Unfinished::class, \Error::class];
        yield 'an interface' => [\Countable::class, ConfigurationException::class];
        yield 'no command' => [NoCommand::class, ConfigurationException::class];
        yield 'no class' => ['No\\Such\\Class', ConfigurationException::class];
        yield 'no name' => [Nameless::class, ClientException::class];
    }

    public function test_what_a_parser_throws_comes_through_and_the_client_stays_usable(): void
    {
        $redis = self::client(['commands' => ['jsonget' => JsonGet::class]]);
        $redis->set('k', 'no json');
        self::thrown(\JsonException::class, static fn () => $redis->jsonget('k'));
        $pipe = $redis->pipeline();
        $pipe->set('a', 1)->jsonget('k')->set('b', 2);
        self::thrown(\JsonException::class, static fn () => $pipe->execute());
        self::assertSame('2', $redis->get('b'), 'it was sent, and answered');
        self::assertSame([], $pipe->execute());
        self::thrown(\JsonException::class, static fn () => $redis->pipeline(['atomic' => true], static fn (Pipeline $pipe) => $pipe->jsonget('k')));
        self::thrown(\JsonException::class, static fn () => $redis->transaction(static fn (Transaction $all) => $all->jsonget('k')));
        self::assertSame('PONG', $redis->ping());
    }

    public function test_a_parser_may_use_the_client_and_the_pipeline_meanwhile(): void
    {
        $redis = self::client(['commands' => ['meddle' => Meddling::class]]);
        $redis->set('k', 'v');
        Meddling::$action = static fn () => $redis->incr('n');
        self::assertSame(['v', 1], $redis->meddle('k'));
        $pipe = $redis->pipeline();
        Meddling::$action = static fn () => count($pipe->incr('n')->flushPipeline());
        self::assertSame(['OK', ['v', 0], 2], $pipe->set('x', 1)->meddle('k')->execute());
        Meddling::$action = static function () use (&$redis, &$pipe): string {
            $redis->disconnect();
            $redis = $pipe = null;
            gc_collect_cycles();

            return 'gone';
        };
        self::assertSame([['v', 'gone']], $pipe->meddle('k')->execute());
        Meddling::$action = null;
    }

    /** @dataProvider protocols */
    public function test_a_parser_for_resp3_is_preferred_under_it(int $protocol): void
    {
        $redis = self::client(['commands' => ['all' => TwoParsers::class], 'protocol' => $protocol]);
        $redis->hset('h', 'a', 1);
        $expected = $protocol === 2 ? ['resp2', ['a', '1']] : ['resp3', ['a' => '1']];
        self::assertSame($expected, $redis->all('h'));
        self::assertSame([$expected], $redis->pipeline(static fn (Pipeline $pipe) => $pipe->all('h')));
    }

    /** @dataProvider protocols */
    public function test_a_created_command_has_the_table_s_words_and_reply(int $protocol): void
    {
        $redis = self::client(['protocol' => $protocol]);
        $command = $redis->createCommand('hmset', ['h', ['a' => 1, 'b' => 2]]);
        self::assertSame(['HMSET', ['h', 'a', '1', 'b', '2']], [$command->getId(), $command->getArguments()]);
        self::assertSame('OK', $redis->executeCommand($command));
        $all = $redis->createCommand('HGetAll');
        $all->setArguments(['h']);
        self::assertSame(['a' => '1', 'b' => '2'], $redis->executeCommand($all));
        self::assertSame(['a' => '1', 'b' => '2'], $all->parseResponse(['a', '1', 'b', '2']));
        self::assertSame(['a' => '1'], $all->parseResponse(['a' => '1']));
        $redis->zadd('z', ['m' => 1.5]);
        $scores = $redis->createCommand('zrange', ['z', 0, -1, ['withscores' => true]]);
        self::assertSame($redis->zrange('z', 0, -1, ['withscores' => true]), $redis->executeCommand($scores));
        $hash = ['a' => '1', 'b' => '2'];
        $record = static function (Pipeline|Transaction $queue) use ($all, $redis): void {
            self::assertSame($queue, $queue->executeCommand($all));
            $queue->executeCommand($redis->createCommand('get', ['k']))->executeCommand(new RawCommand('ECHO', ['x']));
        };
        self::assertSame([$hash, null, 'x'], $redis->pipeline($record));
        self::assertSame([$hash, null, 'x'], $redis->pipeline(['atomic' => true], $record));
        self::assertSame([$hash, null, 'x'], $redis->transaction($record));
        self::assertSame($protocol === 2 ? ['a', '1', 'b', '2'] : $hash, $redis->executeCommand(new RawCommand('hgetall', ['h'])));
    }

    public function test_the_factory_makes_and_knows_commands(): void
    {
        $redis = self::client(['commands' => ['loud' => LoudGet::class, 'keys' => null]]);
        $factory = $redis->getCommandFactory();
        self::assertInstanceOf(Factory::class, $factory);
        self::assertInstanceOf(LoudGet::class, $factory->create('loud', ['k']));
        self::assertSame('GET', $factory->create('get', ['k'])->getId());
        self::assertSame([true, false, false], [$factory->supports('get', 'LOUD'), $factory->supports('get', 'keys'), $factory->supports('bananas')]);
        self::thrown(ClientException::class, static fn () => (new Factory())->create('get'));
        self::assertSame('BANANAS', $redis->createCommand('bananas')->getId());
    }

    public function test_what_is_no_command_object_is_refused(): void
    {
        $redis = self::client();
        foreach ([new \stdClass(), 'GET', null] as $wrong) {
            self::thrown(ClientException::class, static fn () => $redis->executeCommand($wrong));
            self::thrown(ClientException::class, static fn () => $redis->pipeline()->executeCommand($wrong));
        }
        self::thrown(ClientException::class, static fn () => $redis->createCommand('get', 'k'));
    }

    public function test_execute_raw_says_errors_by_reference_and_throws_where_the_connection_fails(): void
    {
        $redis = self::client();
        self::assertSame('OK', $redis->executeRaw(['SET', 'k', 'v'], $error));
        self::assertFalse($error);
        self::assertSame('WRONGTYPE Operation against a key holding the wrong kind of value', $redis->executeRaw(['LPUSH', 'k', 'x'], $error));
        self::assertTrue($error);
        self::assertNull($redis->executeRaw(['GET', 'none'], $error));
        self::assertFalse($error);
        self::assertStringStartsWith('ERR unknown command', $redis->executeRaw(['BANANAS']));
        $typed = new class { public ?bool $said = null; };
        $redis->executeRaw(['BANANAS'], $typed->said);
        self::assertTrue($typed->said);
        $empty = (new \ReflectionClass(ResilientRedis::class))->newInstanceWithoutConstructor();
        self::thrown(ClientException::class, static fn () => $empty->executeRaw(['PING']));
        self::thrown(ServerException::class, static fn () => $redis->lpush('k', 'x'));
        $nobody = new ResilientRedis('127.0.0.1:1', ['command_timeout' => 0.2]);
        self::thrown(ConnectionException::class, static fn () => $nobody->executeRaw(['PING'], $error));
    }

    public function test_a_factory_with_a_foreign_client_and_a_reply_that_contains_itself_are_no_danger(): void
    {
        $text = "O:30:\"ResilientRedis\\Command\\Factory\":1:{s:9:\"\0*\0client\";O:8:\"stdClass\":0:{}}";
        self::assertStringContainsString('not allowed', self::thrown(\Exception::class, static fn () => unserialize($text))->getMessage());
        $redis = self::client();
        $factory = $redis->getCommandFactory();
        (new \ReflectionProperty($factory, 'client'))->setValue($factory, new \stdClass());
        self::thrown(ClientException::class, static fn () => $factory->create('get', ['k']));
        $reply = ['field'];
        $reply[1] = &$reply;
        $redis->createCommand('hgetall', ['k'])->parseResponse($reply);
        self::assertSame('PONG', $redis->ping());
    }

    public function test_what_a_command_object_answers_by_magic_is_freed(): void
    {
        $redis = self::client();
        $command = new class ('echo', ['x']) extends RawCommand {
            public function __construct(string $id, array $arguments)
            {
                parent::__construct($id, $arguments);
                unset($this->arguments);
                $this->shaped = str_repeat('s', 1000);
            }

            public function __get(string $name): array
            {
                return [str_repeat('x', 100_000)];
            }
        };
        $redis->executeCommand($command);
        $before = memory_get_usage();
        for ($i = 0; $i < 50; $i++) {
            $redis->executeCommand($command);
        }
        self::assertLessThan(100_000, memory_get_usage() - $before, 'bytes that stayed');
    }
}
