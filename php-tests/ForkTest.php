<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use Tests\Support\Extension;
use Tests\Support\Process;
use Tests\Support\RedisTestCase;
use Tests\Support\ScriptedServer;
use Tests\Support\Wait;

/** P8: parent and child go on at once, each on connections of its own, whatever the client was doing. */
final class ForkTest extends RedisTestCase
{
    private const FORKS = 108;

    private const COMMANDS = 200;

    public function test_a_hundred_forks_in_every_state_mix_up_no_reply_of_twenty_thousand_on_each_side(): void
    {
        $redis = $this->server();
        $script = Extension::php(__DIR__ . '/Fixtures/fork-storm.php', [], $redis->endpoint(), (string) self::FORKS, (string) self::COMMANDS);
        $process = Process::run($script, seconds: 120.0);
        self::assertSame('', $process->errors());
        $seen = json_decode($process->output(), true);
        self::assertSame(0, $seen['parent']['wrong'], $process->output());
        self::assertSame(0, $seen['parent']['crashed'], $process->output());
        self::assertSame(['right' => self::FORKS * self::COMMANDS, 'wrong' => 0], $seen['children'], $process->output());
        self::assertGreaterThanOrEqual(self::FORKS * self::COMMANDS, $seen['parent']['right'], $process->output());
        // Children close copies, and open their own: what they leave behind is nothing.
        self::assertCount(0, $redis->clients());
    }

    /** @return iterable<string, array{string, mixed, mixed}> state, what the child gets, what the parent gets if the child has gone on */
    public static function states(): iterable
    {
        yield 'idle' => ['idle', 'value', 'value'];
        yield 'another database' => ['another database', 'OK', 'of database 3'];
        yield 'MULTI' => ['MULTI', 'ResilientRedis\ConnectionException', ['OK']];
        yield 'WATCH' => ['WATCH', 'ResilientRedis\AbortedMultiExecException', ['OK', 'QUEUED', ['value']]];
        yield 'an open pipeline' => ['an open pipeline', ['OK', 'first'], ['OK', 6, 'first+']];
        yield 'an open transaction' => ['an open transaction', 'ResilientRedis\AbortedMultiExecException', ['OK']];
        yield 'a loop over messages' => ['a loop over messages', ['subscribed', 'of the child'], ['of the child', 'after the child']];
        yield 'a loop over commands' => ['a loop over commands', true, ['"of the child"', '"that was all"', '"after the child"']];
    }

    /** @dataProvider states */
    public function test_no_byte_of_a_child_that_goes_on_is_sent_on_a_socket_of_its_parent(string $state, mixed $ofChild, mixed $ofParent): void
    {
        [$said, $new] = $this->forkOnTheWire($state, 'goes on');
        self::assertSame($ofChild, $said['child']);
        self::assertSame($ofParent, $said['parent']);
        $refused = is_string($ofChild) && str_contains($ofChild, 'Exception');
        self::assertSame(!$refused, $new, 'the child had a connection of its own, unless it was refused');
    }

    /** @dataProvider states */
    public function test_a_child_that_only_ends_says_nothing_to_the_server(string $state): void
    {
        [, $new] = $this->forkOnTheWire($state, 'ends');
        self::assertFalse($new, 'it opened no connection');
    }

    /**
     * Forks in a state, and looks at what the server got until the child had ended: nothing on a connection of the parent's.
     *
     * @return array{array<string, mixed>, bool} what child and parent said, and whether there was a new connection
     */
    private function forkOnTheWire(string $state, string $child): array
    {
        $relay = $this->stoppedAtTheEnd(ScriptedServer::recording($this->server()));
        $process = new Process(Extension::php(__DIR__ . '/Fixtures/fork-on-the-wire.php', [], $relay->endpoint(), $state, $child));
        $this->stoppedAtTheEnd(new class ($process) {
            public function __construct(private readonly Process $process)
            {
            }

            public function stop(): void
            {
                $this->process->kill();
            }
        });
        $said = [];
        $hear = static function (string $key) use ($process, &$said): void {
            Wait::until("the process says $key", static function () use ($process, $key, &$said): bool {
                foreach ($process->newLines() as $line) {
                    $said += (array) json_decode($line === 'ready' ? '{"ready":true}' : $line, true);
                }
                self::assertTrue(array_key_exists($key, $said) || $process->isRunning(), $process->output() . $process->errors());

                return array_key_exists($key, $said);
            });
        };
        $hear('ready');
        $parents = array_unique(array_column($relay->recorded(), 0));
        self::assertNotSame([], $parents);
        $process->write("fork\n");
        $hear('status');
        self::assertSame(0, $said['status'], $process->errors());
        // What the child has sent is there before what we send now, on a later connection.
        (new ResilientRedis($relay->endpoint()))->echo('that was all');
        $meanwhile = [];
        Wait::until('the relay has got to that', static function () use ($relay, &$meanwhile): bool {
            array_push($meanwhile, ...$relay->recorded());

            return str_contains((string) (end($meanwhile)[2] ?? ''), 'that was all');
        });
        $ours = end($meanwhile)[0];
        $meanwhile = array_filter($meanwhile, static fn (array $one): bool => $one[0] !== $ours);
        self::assertSame([], array_values(array_filter($meanwhile, static fn (array $one): bool => in_array($one[0], $parents, true))));
        $process->write("go on\n");
        $hear('parent');
        $process->wait(5.0);
        self::assertSame('', $process->errors());

        return [$said, $meanwhile !== []];
    }
}
