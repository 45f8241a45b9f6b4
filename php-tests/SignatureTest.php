<?php

declare(strict_types=1);

namespace Tests;

use ReflectionMethod;
use ReflectionParameter;
use ResilientRedis\ClientException;
use Tests\Support\RedisTestCase;

/** What signatures promise: arguments by their names, and defaults that mean the same as giving nothing. */
final class SignatureTest extends RedisTestCase
{
    public function test_arguments_can_be_given_by_their_names(): void
    {
        $redis = self::client();
        self::assertSame('OK', $redis->set(value: 'ohmytext', key: 'a'));
        self::assertSame('ohmytext', $redis->get(key: 'a'));
        $redis->set('b', 'mynewtext');
        self::assertSame(6, $redis->lcs(key1: 'a', key2: 'b', length: true), 'what is left out behind');
        self::assertSame(['OK', 'y'], $redis->pipeline()->set(key: 'a', value: 'y')->get(key: 'a')->execute());
        self::assertSame(['y'], $redis->transaction()->get(key: 'a')->execute());
        $redis->zadd('z', ['x' => 1]);
        self::assertSame(1, $redis->zunionstore(destination: 'd', keys: ['z'], aggregate: 'max'), 'what is left out between');
    }

    public function test_a_name_that_the_signature_does_not_have_is_refused_and_nothing_is_sent(): void
    {
        $redis = self::client();
        foreach ([$redis, $redis->pipeline(), $redis->transaction()] as $object) {
            $refused = self::thrown(ClientException::class, static fn () => $object->set('a', 'b', ttl: 5));
            self::assertSame('SET: unknown named parameter $ttl', $refused->getMessage());
            $refused = self::thrown(\Error::class, static fn () => $object->get(name: 'a'));
            self::assertStringContainsString('Unknown named parameter $name', $refused->getMessage());
            $missing = self::thrown(\ArgumentCountError::class, static fn () => $object->set(value: 'b'));
            self::assertStringContainsString('($key) not passed', $missing->getMessage());
        }
        self::assertNull($redis->get('a'));
    }

    public function test_no_argument_that_was_given_by_a_name_is_left_out_in_silence(): void
    {
        $redis = self::client();
        $loop = $redis->pubSubLoop();
        $calls = [
            'VALEU' => static fn () => $redis->set('a', valeu: 'b'),
            'NOSUCH' => static fn () => $redis->nosuch(valeu: 'b'),
            '__call' => static fn () => $redis->__call('nosuch', ['a', 'valeu' => 'b']),
            'pipeline' => static fn () => $redis->pipeline()->nosuch('a', valeu: 'b'),
            'container' => static fn () => $redis->acl->whoami(valeu: 'b'),
            'watch' => static fn () => $redis->transaction()->watch('a', valeu: 'b'),
            'loop' => static fn () => $loop->subscribe('a', valeu: 'b'),
        ];
        foreach ($calls as $told => $call) {
            $refused = self::thrown(ClientException::class, $call);
            self::assertStringContainsString('unknown named parameter $valeu', $refused->getMessage(), $told);
        }
        foreach ([static fn () => $redis->pipeline(atomic: true), static fn () => $redis->pubSubLoop(subscribe: 'a')] as $call) {
            $refused = self::thrown(ClientException::class, $call);
            self::assertStringContainsString('given as an array', $refused->getMessage());
        }
    }

    public function test_an_argument_that_is_missing_is_told_as_php_tells_it_of_its_own_functions(): void
    {
        $redis = self::client();
        $own = static function (mixed $key, mixed $value, mixed ...$options): void {
        };
        $tells = static fn (callable $call): string => preg_replace('~^.*\(\): ~', '', self::thrown(\ArgumentCountError::class, $call)->getMessage()) ?? '';
        self::assertSame($tells(static fn () => $own(kee: 'a', value: 'b')), $tells(static fn () => $redis->set(kee: 'a', value: 'b')));
    }

    public function test_a_gap_is_not_closed_by_what_stands_behind_it(): void
    {
        $redis = self::client();
        $redis->set('bits', "\x00\xff");
        self::assertSame(8, $redis->bitpos('bits', 1));
        self::assertSame(8, $redis->bitpos(key: 'bits', bit: 1, start: 0, end: -1));
        $refused = self::thrown(ClientException::class, static fn () => $redis->bitpos('bits', 1, end: 5));
        self::assertStringContainsString('BITPOS: an argument was left out in front of one that is given', $refused->getMessage());
        self::thrown(ClientException::class, static fn () => $redis->bitcount('bits', null, 5));
    }

    public function test_a_wrong_number_of_arguments_is_told_as_php_tells_it(): void
    {
        $redis = self::client();
        $calls = [
            'ResilientRedis::getClientBy() expects exactly 2 arguments, 0 given' => static fn () => $redis->getClientBy(),
            'ResilientRedis::getClientBy() expects exactly 2 arguments, 1 given' => static fn () => $redis->getClientBy('id'),
            'ResilientRedis::getClientBy() expects exactly 2 arguments, 3 given' => static fn () => $redis->getClientBy('id', 'a', 'b'),
            'ResilientRedis::__call() expects exactly 2 arguments, 1 given' => static fn () => $redis->__call('get'),
            'ResilientRedis\Pipeline::__call() expects exactly 2 arguments, 1 given' => static fn () => $redis->pipeline()->__call('get'),
            'ResilientRedis\Transaction::__call() expects exactly 2 arguments, 3 given' => static fn () => $redis->transaction()->__call('get', [], []),
            'ResilientRedis\Container::__call() expects exactly 2 arguments, 1 given' => static fn () => $redis->acl->__call('get'),
        ];
        foreach ($calls as $text => $call) {
            self::assertSame($text, self::thrown(\ArgumentCountError::class, $call)->getMessage());
        }
        self::thrown(ClientException::class, static fn () => $redis->__call('get', 'k'));
    }

    public function test_giving_the_defaults_is_the_same_as_giving_nothing(): void
    {
        $redis = self::client();
        $link = stream_socket_client('tcp://127.0.0.1:' . self::shared()->port);
        self::assertIsResource($link);
        fwrite($link, "MONITOR\r\n");
        self::assertSame("+OK\r\n", fgets($link));
        // The second of two would be refused, since the first is still at work.
        $skipped = ['bgsave'];
        $tried = 0;
        foreach ((new \ReflectionClass($redis))->getMethods() as $method) {
            $defaults = array_filter($method->getParameters(), static fn (ReflectionParameter $one): bool => $one->isDefaultValueAvailable());
            if ($defaults === [] || in_array($method->name, $skipped, true) || strtolower($method->name) !== $method->name || $method->isStatic() || str_starts_with($method->name, '__')) {
                continue;
            }
            $required = array_slice($method->getParameters(), 0, $method->getNumberOfRequiredParameters());
            $given = array_map(self::something(...), $required);
            $explicit = array_map(static fn (ReflectionParameter $one): mixed => $one->getDefaultValue(), array_values($defaults));
            $seen = [];
            foreach ([$given, [...$given, ...$explicit]] as $arguments) {
                $seen[] = [self::outcome($redis, $method, $arguments), self::monitored($link, $redis)];
            }
            self::assertSame($seen[0], $seen[1], $method->name . ' with ' . json_encode($explicit));
            $tried++;
        }
        fclose($link);
        self::assertGreaterThan(30, $tried);
    }

    /** An argument that a command may take. */
    private static function something(ReflectionParameter $parameter): mixed
    {
        return match ($parameter->getName()) {
            'timeout' => 0.01,
            'keys' => ['k'],
            'fields' => ['f' => 1],
            'from' => ['FROMLONLAT', 1, 1],
            'by' => ['BYRADIUS', 1, 'm'],
            default => '1',
        };
    }

    /** @param list<mixed> $arguments */
    private static function outcome(\ResilientRedis $redis, ReflectionMethod $method, array $arguments): string
    {
        try {
            return gettype($redis->{$method->name}(...$arguments));
        } catch (\ResilientRedis\Exception $exception) {
            return preg_replace('~\d+~', '#', $exception->getMessage()) ?? '';
        }
    }

    /**
     * The commands that the server ran, without their times and addresses.
     *
     * @param resource $link
     * @return list<string>
     */
    private static function monitored($link, \ResilientRedis $redis): array
    {
        $redis->echo('end');
        for ($seen = []; ($line = (string) fgets($link)) !== '';) {
            $words = preg_replace('~^[^"]*~', '', rtrim($line));
            if ($words === '"ECHO" "end"') {
                break;
            }
            $seen[] = (string) $words;
        }

        return array_values(array_filter($seen, static fn (string $words): bool => !preg_match('~^"(HELLO|CLIENT|INFO|ROLE|SELECT)"~', $words)));
    }
}
