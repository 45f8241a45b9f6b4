<?php

declare(strict_types=1);

namespace Tests\Support;

/**
 * A child process whose output goes to files, so that it never waits for a reader. Whatever is still running when this
 * process ends is killed, by its id.
 */
final class Process
{
    /** @var array<int, self> */
    private static array $running = [];

    private static ?int $owner = null;

    /** @var resource|null */
    private $handle;

    /** @var resource|null */
    private $input;

    private readonly int $pid;

    private readonly string $folder;

    /** @var array{exitcode: int, signaled: bool, termsig: int}|null */
    private ?array $end = null;

    private string $unfinishedLine = '';

    private int $readUpTo = 0;

    /**
     * @param list<string> $command
     * @param array<string, string> $environment added to this process' own
     * @param int $signalAtParentsDeath so that nothing stays behind even if this process is killed
     */
    public function __construct(
        private readonly array $command,
        array $environment = [],
        private readonly int $signalAtParentsDeath = SIGKILL,
    ) {
        if (self::$owner === null) {
            self::$owner = getmypid();
            register_shutdown_function(self::stopAll(...));
        }
        $this->folder = Scratch::folder('process');
        $handle = proc_open(
            self::bound($command, $signalAtParentsDeath),
            [['pipe', 'r'], ['file', "$this->folder/stdout", 'w'], ['file', "$this->folder/stderr", 'w']],
            $pipes,
            null,
            $environment + getenv(),
        );
        if ($handle === false) {
            throw new \RuntimeException('cannot start ' . implode(' ', $command));
        }
        $this->handle = $handle;
        $this->input = $pipes[0];
        $status = proc_get_status($handle);
        $this->pid = $status['pid'];
        self::$running[$this->pid] = $this;
        $this->note($status);
    }

    public function pid(): int
    {
        return $this->pid;
    }

    public function output(): string
    {
        return (string) file_get_contents("$this->folder/stdout");
    }

    public function errors(): string
    {
        return (string) file_get_contents("$this->folder/stderr");
    }

    /**
     * The whole lines written since the last call.
     *
     * @return list<string>
     */
    public function newLines(): array
    {
        $new = (string) file_get_contents("$this->folder/stdout", false, null, $this->readUpTo);
        $this->readUpTo += strlen($new);
        $lines = explode("\n", $this->unfinishedLine . $new);
        $this->unfinishedLine = (string) array_pop($lines);

        return $lines;
    }

    public function write(string $text): void
    {
        if ($this->input === null || fwrite($this->input, $text) !== strlen($text)) {
            throw new \RuntimeException('the child takes no more input: ' . $this->describe());
        }
        fflush($this->input);
    }

    public function signal(int $signal): void
    {
        if ($this->isRunning()) {
            posix_kill($this->pid, $signal);
        }
    }

    public function isRunning(): bool
    {
        if ($this->end !== null || $this->handle === null) {
            return false;
        }
        $status = proc_get_status($this->handle);
        $this->note($status);

        return $status['running'];
    }

    /**
     * Keeps how the process ended, if it has: only the first question after the end is told, and that may be the one right after
     * the start.
     *
     * @param array<string, mixed> $status
     */
    private function note(array $status): void
    {
        if (!$status['running']) {
            $this->end = ['exitcode' => $status['exitcode'], 'signaled' => $status['signaled'], 'termsig' => $status['termsig']];
            unset(self::$running[$this->pid]);
        }
    }

    /** Waits for the end; the exit code, or minus the signal that ended it. */
    public function wait(float $seconds = 30.0): int
    {
        Wait::until($this->describe() . ' has ended', fn (): bool => !$this->isRunning(), $seconds);
        assert($this->end !== null);

        return $this->end['signaled'] ? -$this->end['termsig'] : $this->end['exitcode'];
    }

    /** Asks it to end, and kills it when it does not. */
    public function stop(float $patience = 5.0): void
    {
        if ($this->isRunning()) {
            posix_kill($this->pid, SIGTERM);
            posix_kill($this->pid, SIGCONT);
            try {
                $this->wait($patience);
            } catch (\RuntimeException) {
                $this->kill();
            }
        }
        $this->close();
    }

    public function kill(): void
    {
        if ($this->isRunning()) {
            posix_kill($this->pid, SIGKILL);
            $this->wait();
        }
        $this->close();
    }

    public static function stopAll(): void
    {
        if (self::$owner !== getmypid()) {
            return;
        }
        foreach (self::$running as $process) {
            // What wants SIGTERM has children of its own to end.
            $process->signalAtParentsDeath === SIGTERM ? $process->stop() : $process->kill();
        }
    }

    /**
     * Runs a command to its end.
     *
     * @param list<string> $command
     * @param array<string, string> $environment
     */
    public static function run(array $command, array $environment = [], float $seconds = 30.0): self
    {
        $process = new self($command, $environment);
        $process->wait($seconds);

        return $process;
    }

    public function describe(): string
    {
        return sprintf('process %d (%s)', $this->pid, basename($this->command[0]));
    }

    private function close(): void
    {
        if ($this->input !== null) {
            fclose($this->input);
            $this->input = null;
        }
        if ($this->handle !== null) {
            proc_close($this->handle);
            $this->handle = null;
        }
        unset(self::$running[$this->pid]);
    }

    /**
     * The command, started in such a way that the kernel sends it the signal when this process is gone.
     *
     * @param list<string> $command
     * @return list<string>
     */
    private static function bound(array $command, int $signal): array
    {
        $tool = '/usr/bin/setpriv';

        return is_executable($tool)
            ? [$tool, '--pdeathsig', $signal === SIGTERM ? 'TERM' : 'KILL', '--', ...$command]
            : $command;
    }
}
