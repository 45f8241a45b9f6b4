<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis\ProtocolException;
use ResilientRedis\TimeoutException;
use Tests\Support\Extension;
use Tests\Support\Process;
use Tests\Support\RedisTestCase;
use Tests\Support\ScriptedServer;

/**
 * A server that lets the client in and then answers with what no server says. Whatever it is, the program gets an exception of
 * its own or a value, memory is taken for what came and not for what was claimed, and the next reply is the right one.
 */
final class HostilePeerTest extends RedisTestCase
{
    /** Enough for PHP, and for what a string or array may take before anything of it has come. */
    private const MEMORY_LIMIT = '24M';

    /** @dataProvider protocols */
    public function test_no_reply_harms_the_process(int $protocol): void
    {
        $rules = $calls = $expected = [];
        foreach (self::replies() as $name => [$call, $bytes, $times, $outcome]) {
            [$method, $arguments] = [array_shift($call), $call];
            $command = strtoupper($method);
            // The last argument tells the cases of one command apart.
            $arguments[] = $name;
            $rules[] = ['command' => $command, 'words' => [$command, ...$arguments], 'fault' => 'say', 'times' => 1, 'bytes' => $bytes, 'repeated' => $times];
            $calls[$name] = [$method, $arguments];
            $expected[$name] = $outcome;
        }
        self::shared()->command('SET', 'fine', 'as ever');
        $proxy = $this->stoppedAtTheEnd(ScriptedServer::following(self::shared(), $rules));
        $ini = ['memory_limit' => self::MEMORY_LIMIT];
        $run = Process::run(Extension::php(__DIR__ . '/Fixtures/hostile-replies.php', $ini, $proxy->endpoint(), json_encode($calls, JSON_THROW_ON_ERROR), (string) $protocol));
        self::assertSame(0, $run->wait(), $run->output() . $run->errors());
        $seen = json_decode($run->output(), true, 16, JSON_THROW_ON_ERROR);
        foreach ($expected as $name => $outcome) {
            $what = "$name: " . self::seen($seen[$name]);
            if (is_array($outcome) && array_key_exists('exception', $outcome)) {
                self::assertSame($outcome['exception'], $seen[$name]['exception'] ?? null, $what);
                self::assertStringContainsString($outcome['message'], $seen[$name]['message'], $what);
            } else {
                self::assertSame($outcome, $seen[$name]['value'] ?? null, $what);
            }
            self::assertSame('as ever', $seen[$name]['next'], $what);
            self::assertLessThan(17 << 20, $seen[$name]['memory'], $what);
        }
    }

    /** @return iterable<string, array{int}> */
    public static function protocols(): iterable
    {
        yield 'RESP2' => [2];
        yield 'RESP3' => [3];
    }

    /** @return iterable<string, array{list<string>, string, int, mixed}> method and arguments, bytes, how often, what comes of it */
    private static function replies(): iterable
    {
        $refused = static fn (string $why): array => ['exception' => ProtocolException::class, 'message' => $why];
        $awaited = ['exception' => TimeoutException::class, 'message' => 'read_write_timeout ran out'];

        yield 'a string of 2^62 bytes' => [['get'], "$4611686018427387904\r\n", 1, $refused('max_reply_size')];
        yield 'a list of 2^62 elements' => [['get'], "*4611686018427387904\r\n", 1, $refused('max_reply_size')];
        yield 'a map of 2^63-1 pairs' => [['hgetall'], "%9223372036854775807\r\n", 1, $refused('max_reply_size')];
        yield 'an attribute of 2^62 pairs' => [['get'], "|4611686018427387904\r\n", 1, $refused('max_reply_size')];
        yield 'a push of 2^62 elements' => [['get'], ">4611686018427387904\r\n", 1, $refused('max_reply_size')];
        yield 'a length beyond all numbers' => [['get'], "$92233720368547758070\r\n", 1, $refused('where RESP wants a number')];
        yield 'a string within the limit that does not come' => [['get'], "$1000000000\r\nonly this", 1, $awaited];
        yield 'a list within the limit that does not come' => [['get'], "*60000000\r\n:1\r\n", 1, $awaited];
        yield 'a map within the limit that does not come' => [['hgetall'], "%30000000\r\n+f\r\n+v\r\n", 1, $awaited];
        yield 'lists in lists that do not come' => [['get'], "*60000\r\n", 127, $awaited];
        yield 'maps in maps that do not come' => [['hgetall'], "%30000\r\n+f\r\n", 127, $awaited];
        yield 'lists in 100,000 lists' => [['get'], "*1\r\n", 100_000, $refused('max_depth')];
        yield 'attributes before attributes' => [['get'], "|1\r\n", 100_000, $refused('max_depth')];
        yield 'a line without an end' => [['get'], '+xxxxxxxxx', 20_000, $refused('longer than')];
        yield 'an error without an end' => [['get'], '-xxxxxxxxx', 20_000, $refused('longer than')];
        yield 'a number without an end' => [['get'], ':000000000', 20_000, $refused('longer than')];
        yield 'a string that does not end where it should' => [['get'], "$3\r\nabcdefgh\r\n", 1, $refused('did not end')];
        yield 'no number' => [['get'], ":12a\r\n", 1, $refused('"12a"')];
        yield 'no double' => [['zscore', 'k'], ",1.5.6\r\n", 1, $refused('"1.5.6"')];
        yield 'no big number' => [['get'], "(12e5\r\n", 1, $refused('"12e5"')];
        yield 'no truth' => [['get'], "#maybe\r\n", 1, $refused('"maybe"')];
        yield 'no type' => [['get'], "HTTP/1.1 200 OK\r\n\r\n", 1, $refused('no RESP type')];
        yield 'a list as key of a map' => [['hgetall'], "%1\r\n*1\r\n+k\r\n+v\r\n", 1, $refused('neither a string nor a number')];
        yield 'a map as key of a map' => [['hgetall'], "%1\r\n%1\r\n+k\r\n+k\r\n+v\r\n", 1, $refused('neither a string nor a number')];
        yield 'a set as field among pairs' => [['hgetall'], "*2\r\n~1\r\n+k\r\n+v\r\n", 1, $refused('neither a string nor a number')];
        yield 'a push within a list' => [['get'], "*2\r\n>1\r\n+x\r\n+y\r\n", 1, $refused('a push inside')];
        yield 'a push that is none' => [['get'], ">-1\r\n", 1, $refused('"-1"')];
        yield 'a push before the reply' => [['get'], ">2\r\n+x\r\n+y\r\n$1\r\nv\r\n", 1, 'v'];
        yield 'attributes in the reply' => [['get'], "|1\r\n+a\r\n+b\r\n*2\r\n|1\r\n+c\r\n*1\r\n+d\r\n:1\r\n:2\r\n", 1, [1, 2]];
        yield 'a verbatim string without a format' => [['get'], "=2\r\nab\r\n", 1, ''];
        yield 'a big number' => [['get'], "(-123456789012345678901234567890\r\n", 1, '-123456789012345678901234567890'];
        yield 'another type than the command has' => [['hgetall'], ":7\r\n", 1, 7];
        yield 'a field without its value' => [['hgetall'], "*3\r\n+f\r\n+v\r\n+g\r\n", 1, ['f' => 'v', 'g' => null]];
        yield 'two replies' => [['get'], "$3\r\none\r\n$3\r\ntwo\r\n", 1, 'one'];
        yield 'a reply and the half of another' => [['get'], "$3\r\none\r\n$3\r\nt", 1, 'one'];
    }
}
