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
            self::assertStringContainsString('SET: an argument was given by a name', $refused->getMessage());
            $refused = self::thrown(\Error::class, static fn () => $object->get(name: 'a'));
            self::assertStringContainsString('Unknown named parameter $name', $refused->getMessage());
            $missing = self::thrown(\ArgumentCountError::class, static fn () => $object->set(value: 'b'));
            self::assertStringContainsString('($key) not passed', $missing->getMessage());
        }
        self::assertNull($redis->get('a'));
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
